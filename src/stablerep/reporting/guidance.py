"""The report's section on the guidance scale: the result of a study, and figures of arms by scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from stablerep.evaluation.bootstrap import Interval
from stablerep.reporting.axes import TEXT, light, plain
from stablerep.reporting.content import GENERATED, ReportContent
from stablerep.reporting.metric_names import is_share, unit_of
from stablerep.reporting.tables import ArmsTable, title_of

_SERIES = ("generated", "corpus", "mixture", "rendered", "none", "bad")  # colours of the palette


@dataclass(frozen=True)
class GuidancePoint:
    """A figure at a guidance scale.

    Attributes:
        scale: of the image set.
        interval: the figure.
    """

    scale: float
    interval: Interval


@dataclass(frozen=True)
class GuidanceStudy:
    """What the last study of the guidance scale found.

    Attributes:
        recommendation: see `stablerep.tuning.recommendation.Recommendation.to_json`.
        num_trials: complete trials.
        num_seeds: seeds of each scale, at most.
        num_units: units of the validation images on which a trial was scored.
    """

    recommendation: Mapping[str, Any]
    num_trials: int
    num_seeds: int
    num_units: int


def accuracy_over_guidance(content: ReportContent, table: ArmsTable) -> dict[str, list[GuidancePoint]]:
    """Returns method -> its leading figure at each guidance scale of the generated sets, by scale.

    Methods that were trained at only one scale are left out.
    """
    found: dict[str, dict[float, GuidancePoint]] = {}
    for row in table.rows:
        scale = content.guidance_of(row.images)
        if scale is not None and table.leading in row.cells:
            point = GuidancePoint(scale, row.cells[table.leading].interval)
            found.setdefault(row.method, {}).setdefault(scale, point)  # the best arm of a scale comes first
    return {
        method: [points[scale] for scale in sorted(points)]
        for method, points in found.items()
        if len(points) > 1
    }


def alignment_over_guidance(content: ReportContent) -> dict[str, list[GuidancePoint]]:
    """Returns the mean alignment of the generated sets by guidance scale, with the quartiles."""
    points: dict[float, GuidancePoint] = {}
    for name, image_set in content.image_sets.items():
        scale, ledger = content.guidance_of(name), image_set.facts.get("alignment")
        if scale is not None and image_set.source == GENERATED and ledger and ledger.get("quantiles"):
            quantiles = ledger["quantiles"]
            number = int(ledger["num_scored"])
            points[scale] = GuidancePoint(
                scale, Interval(ledger["mean"], quantiles["q25"], quantiles["q75"], number)
            )
    return {"alignment": [points[scale] for scale in sorted(points)]} if len(points) > 1 else {}


def set_metric_over_guidance(content: ReportContent, metric: str) -> dict[str, list[GuidancePoint]]:
    """Returns a metric of the generated sets by guidance scale; nothing if there is only one scale."""
    if content.set_metrics.empty:
        return {}
    rows = content.set_metrics
    rows = rows[(rows["metric"] == metric) & (rows["group"] == "all")]
    points: dict[float, GuidancePoint] = {}
    for name, value, number in rows[["image_set", "value", "num_images"]].itertuples(index=False):
        scale = content.guidance_of(name)
        if scale is not None:
            points[scale] = GuidancePoint(scale, Interval(value, value, value, number))
    return {metric: [points[scale] for scale in sorted(points)]} if len(points) > 1 else {}


def draw_over_guidance(series: Mapping[str, Sequence[GuidancePoint]], metric: str, title: str) -> Figure:
    """Draws figures over the guidance scale, on a logarithmic axis; the bars are intervals.

    Args:
        series: name -> its points, by scale.
        metric: decides whether they are shown as shares.
        title: of the figure, with n.
    """
    figure, axes = _panel(f"{title}{unit_of(metric)}")
    factor = 100 if is_share(metric) else 1
    for number, (name, points) in enumerate(series.items()):
        _draw_points(axes, points, light(_SERIES[number % len(_SERIES)]), factor, title_of(name))
    _finish(axes, sorted({point.scale for points in series.values() for point in points}))
    if len(series) > 1:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5, labelcolor=TEXT)
    return figure


def draw_study(study: GuidanceStudy) -> Figure:
    """Draws each scale of a study with its interval, the recommended scale, and the configured one."""
    found = study.recommendation
    figure, axes = _panel(
        f"validation score in %, {study.num_trials} short trials, n = {study.num_units} units, "
        f"{study.num_seeds} seeds"
    )
    by_steps: dict[str, list[GuidancePoint]] = {}
    for each in found["points"]:
        accuracy = each["accuracy"]
        point = GuidancePoint(
            each["guidance_scale"],
            Interval(accuracy["value"], accuracy["low"], accuracy["high"], study.num_units),
        )
        by_steps.setdefault(str(each["num_inference_steps"]), []).append(point)
    for number, (steps, points) in enumerate(by_steps.items()):
        colour = light(_SERIES[number % len(_SERIES)])
        _draw_points(axes, sorted(points, key=lambda point: point.scale), colour, 100, f"{steps} steps")
        best = found["guidance_scale"][steps]
        axes.axvspan(best["low"], best["high"], color=colour, alpha=0.1, linewidth=0)
    axes.axvline(found["current"], color=TEXT, linewidth=0.9, linestyle=(0, (3, 3)))
    axes.annotate(
        f" set: {found['current']:g}", (found["current"], 0.98), xycoords=("data", "axes fraction"),
        va="top", fontsize=8.5, color=TEXT,
    )  # fmt: skip
    _finish(axes, sorted({each["guidance_scale"] for each in found["points"]}))
    if len(by_steps) > 1:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5, labelcolor=TEXT)
    return figure


def _panel(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=9.5, loc="left", color=TEXT)
    return figure, axes


def _draw_points(axes: Axes, points: Sequence[GuidancePoint], colour: str, factor: float, label: str) -> None:
    scales = [point.scale for point in points]
    axes.plot(
        scales,
        [factor * point.interval.value for point in points],
        "-o",
        color=colour,
        markersize=5,
        label=label,
    )
    for point in points:
        low, high = (factor * each for each in (point.interval.low, point.interval.high))
        axes.plot([point.scale] * 2, [low, high], color=colour, linewidth=2.4, alpha=0.45)


def _finish(axes: Axes, scales: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(scales, [f"{scale:.3g}" for scale in scales])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.set_xlabel("guidance scale", fontsize=8.5)
    plain(axes, "y")
    axes.tick_params(labelsize=8.5)
