"""The report's figures: accuracies with their intervals, and how the arms trained.

Colours say what an arm saw, the same on every figure and in the page's style sheet.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stablerep.reporting.axes import plain
from stablerep.reporting.tables import METRIC_TITLES, order_of_arms, rows_by_arm, title_of

SOURCE_COLOURS = {
    "synthetic": "#2a6fb0",
    "real": "#c8641e",
    "drawn": "#2f8a57",
    "none": "#7b8490",
}
SOURCE_TITLES = {
    "synthetic": "synthetic images",
    "real": "real images",
    "drawn": "real images drawn from the captions",
    "none": "not trained",
}
_INK = "#20262e"
_NUM_COLUMNS = 4  # of the training curves


def draw_accuracies(metrics: pd.DataFrame, attribute: str, chance: float) -> Figure:
    """Draws every arm's accuracy with its interval, one panel a metric.

    Args:
        metrics: as `evaluation.evaluate.evaluate_encoders` returns them.
        attribute: what was predicted.
        chance: accuracy of guessing, in [0, 1]; drawn as a line.
    """
    arms = order_of_arms(metrics, attribute)[::-1]
    rows = rows_by_arm(metrics, attribute)
    figure = Figure(figsize=(9.6, 0.9 + 0.36 * len(arms)), layout="constrained")
    panels = figure.subplots(1, len(METRIC_TITLES), sharey=True, squeeze=False)[0]
    for axes, (metric, title) in zip(panels, METRIC_TITLES.items(), strict=True):
        for place, arm in enumerate(arms):
            _draw_interval(axes, place, rows[arm, metric])
        axes.axvline(100 * chance, color=_INK, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.text(100 * chance, -0.75, " chance", fontsize=8, color=_INK, va="center")
        axes.set_yticks(range(len(arms)), [title_of(arm) for arm in arms])
        axes.set_xlim(0, 104)
        axes.set_ylim(-1.1, len(arms) - 0.4)
        axes.set_title(f"{title}, {attribute}, %", fontsize=10, loc="left", color=_INK)
        axes.tick_params(axis="y", length=0)
        plain(axes, "x")
    present = {row["images"] for row in rows.values()}
    shown = [name for name in SOURCE_COLOURS if name in present]
    handles = [
        Line2D([], [], color=SOURCE_COLOURS[name], marker="o", label=SOURCE_TITLES[name]) for name in shown
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(shown), frameon=False, fontsize=9)
    return figure


def _draw_interval(axes: Axes, place: int, row: Mapping[str, Any]) -> None:
    colour = SOURCE_COLOURS.get(row["images"], _INK)
    low, value, high = (100 * row[name] for name in ("low", "value", "high"))
    axes.plot([low, high], [place, place], color=colour, linewidth=3, alpha=0.45)
    axes.plot(value, place, "o", color=colour, markersize=6.5)
    # beside the interval, on the side that has room
    right = high < 88
    axes.annotate(
        f"{value:.1f}",
        (high if right else low, place),
        xytext=(5 if right else -5, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        fontsize=8.5,
        color=_INK,
    )


def draw_histories(histories: Mapping[str, pd.DataFrame], sources: Mapping[str, str]) -> Figure:
    """Draws each arm's loss and, below it, the spread of its embeddings.

    Losses of different methods cannot be compared, so each has an axis of its own; the spread (1 for
    even over the sphere, 0 for collapsed) shares one.

    Args:
        histories: by arm, with columns images, loss, embedding_std.
        sources: by arm, what it saw.
    """
    num_bands = -(-len(histories) // _NUM_COLUMNS)
    num_columns = min(_NUM_COLUMNS, len(histories))
    figure = Figure(figsize=(2.4 * num_columns, 2.9 * num_bands), layout="constrained")
    grid = figure.subplots(2 * num_bands, num_columns, squeeze=False, height_ratios=[1.7, 1] * num_bands)
    top = max(1.05, *(float(h["embedding_std"].max()) * 1.05 for h in histories.values()))
    for index, (arm, history) in enumerate(histories.items()):
        band, column = divmod(index, _NUM_COLUMNS)
        loss, spread = grid[2 * band, column], grid[2 * band + 1, column]
        colour = SOURCE_COLOURS.get(sources.get(arm, "none"), _INK)
        thousands = history["images"] / 1000
        loss.plot(thousands, history["loss"], color=colour, linewidth=1.6)
        loss.set_title(title_of(arm), fontsize=9.5, loc="left", color=_INK)
        loss.tick_params(labelbottom=False)
        spread.plot(thousands, history["embedding_std"], color=colour, linewidth=1.6)
        spread.set_ylim(0, top)
        spread.set_xlabel("thousand images seen", fontsize=8)
        if column == 0:
            loss.set_ylabel("loss", fontsize=8.5)
            spread.set_ylabel("spread", fontsize=8.5)
        for axes in (loss, spread):
            axes.tick_params(labelsize=8)
            plain(axes, "y")
    for index in range(len(histories), num_bands * num_columns):
        band, column = divmod(index, _NUM_COLUMNS)
        grid[2 * band, column].set_visible(False)
        grid[2 * band + 1, column].set_visible(False)
    return figure
