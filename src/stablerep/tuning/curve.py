"""The picture of a guidance study: validation accuracy over the guidance scale."""

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_guidance_curve(trials: pd.DataFrame) -> "Figure":
    """Draws the complete trials in the order of their scales, the best one marked.

    Args:
        trials: as `guidance.run_study` returns them.
    """
    from matplotlib.figure import Figure

    complete = trials[trials["state"] == "complete"].sort_values("guidance_scale")
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    scales = complete["guidance_scale"].to_numpy(dtype=float)
    accuracies = 100 * complete["validation_accuracy"].to_numpy(dtype=float)
    axes.plot(scales, accuracies, "o-", color="#2a6fb0", linewidth=2, markersize=6)
    if len(scales):
        best = int(accuracies.argmax())
        axes.plot(scales[best], accuracies[best], "o", color="#c8501e", markersize=10)
        axes.annotate(
            f"best: {scales[best]:.3g} ({accuracies[best]:.1f} %)",
            (scales[best], accuracies[best]),
            xytext=(0, 12),
            textcoords="offset points",
            ha="left" if 2 * best < len(scales) else "right",
            color="#c8501e",
        )
    axes.margins(y=0.2)  # room for the label
    axes.set_xlabel("guidance scale")
    axes.set_ylabel("linear probe on validation images, %")
    axes.set_title(f"{len(complete)} short trials, one seed", fontsize=10, loc="left")
    axes.grid(axis="y", color="#e3e6ea")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure
