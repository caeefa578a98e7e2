"""The picture of a guidance study: validation accuracy over the guidance scale, with its band."""

from typing import TYPE_CHECKING

from stablerep.tuning.guidance import ACCURACY, SCALE, STEPS
from stablerep.tuning.recommendation import Recommendation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#2a6fb0", "#2f8f5b", "#7a4fa3", "#8a6d1d")
_BEST = "#c8501e"
_MAX_TICKS = 8


def draw_guidance_curve(study: Recommendation) -> "Figure":
    """Draws each trial, the fitted curve with its 95 % band, and the interval of the recommended scale.

    A study of several numbers of steps gets a curve for each, and beside them accuracy over cost.
    """
    from matplotlib.figure import Figure

    two = len(study.optima) > 1
    figure = Figure(figsize=(10.4 if two else 6.4, 4.0), layout="constrained")
    panels = figure.subplots(1, 2 if two else 1, squeeze=False)[0]
    _draw_curves(panels[0], study)
    if two:
        _draw_front(panels[1], study)
    for axes in panels:
        axes.grid(axis="y", color="#e3e6ea")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        axes.set_ylabel("first evaluation on validation images, %")
    return figure


def _draw_curves(axes: "Axes", study: Recommendation) -> None:
    from matplotlib.ticker import NullFormatter

    for number, (steps, optimum) in enumerate(study.optima.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        mean, low, high = (100 * each for each in optimum.band())
        axes.fill_between(optimum.scales, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(optimum.scales, mean, color=colour, linewidth=2, label=f"{steps} steps")
        rows = study.trials[study.trials[STEPS] == steps]
        axes.plot(rows[SCALE], 100 * rows[ACCURACY], "o", color=colour, markersize=4, alpha=0.7)
        best = optimum.scale
        axes.errorbar(
            best.value,
            float(mean.max()),
            xerr=[[best.value - best.low], [best.high - best.value]],
            fmt="o",
            color=_BEST if len(study.optima) == 1 else colour,
            capsize=4,
            markersize=8,
        )
    axes.set_xscale("log")
    ticks = sorted(set(study.trials[SCALE]))[:_MAX_TICKS]
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("guidance scale")
    if len(study.optima) > 1:
        axes.legend(frameon=False, fontsize=9)
    num_seeds = study.trials["seed"].nunique()
    sentence = "" if len(study.optima) > 1 else f"\n{study.sentences()[0]}"
    axes.set_title(
        f"{len(study.trials)} short trials, {num_seeds} seeds; 95 % band{sentence}", fontsize=9, loc="left"
    )


def _draw_front(axes: "Axes", study: Recommendation) -> None:
    for point in study.points:
        accuracy = point.accuracy
        axes.errorbar(
            point.passes_per_image,
            100 * accuracy.value,
            yerr=[[100 * (accuracy.value - accuracy.low)], [100 * (accuracy.high - accuracy.value)]],
            fmt="o",
            color=_BEST if point.on_front else "#9aa3ad",
        )
    chosen = sorted((p for p in study.points if p.on_front), key=lambda each: each.passes_per_image)
    axes.plot(
        [each.passes_per_image for each in chosen],
        [100 * each.accuracy.value for each in chosen],
        color=_BEST,
        label="front",
    )
    axes.legend(frameon=False, fontsize=9)
    axes.set_xlabel("passes of the denoising network per image")
