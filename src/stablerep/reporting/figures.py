"""The report's figures: accuracies with their intervals, and how the arms trained.

Colours say what source an arm's images have, the same on every figure and in the page's style sheet. Each
panel is a figure of its own, so that a narrow page can put them one below another.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stablerep.reporting.axes import TEXT, light, plain
from stablerep.reporting.content import CORPUS, GENERATED, MIXTURE, NONE, RENDERED
from stablerep.reporting.metric_names import is_share, shown, unit_of
from stablerep.reporting.tables import ACCURACY, ArmsTable, Cell, title_of

SOURCE_TITLES = {
    GENERATED: "generated images",
    CORPUS: "the corpus's own images",
    RENDERED: "images rendered from captions",
    MIXTURE: "a mixture of image sets",
    NONE: "no images of this experiment",
}
_DASHES = (0, (3, 3))
_PROBE = "knn_accuracy"  # column of a history, of some rows


def draw_accuracies(table: ArmsTable, evaluation: str, chance: float | None) -> Figure:
    """Draws the accuracy of each arm with its interval, by one evaluation.

    Args:
        table: the arms on one task of an evaluation set.
        evaluation: which one.
        chance: accuracy of guessing, in [0, 1]; drawn as a line, not at all where it is None.
    """
    rows = [row for row in table.rows if evaluation in row.cells][::-1]
    metric = table.evaluations[evaluation]
    figure = Figure(figsize=(5.2, 0.95 + 0.34 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        _draw_interval(axes, place, row.cells[evaluation], light(row.source), metric)
    if chance is not None and metric == ACCURACY:
        axes.axvline(100 * chance, color=TEXT, linewidth=0.8, linestyle=_DASHES)
        axes.text(100 * chance, -0.75, " chance", fontsize=8, color=TEXT, va="center")
    axes.set_yticks(range(len(rows)), [title_of(row.arm) for row in rows])
    if is_share(metric):
        axes.set_xlim(0, 104)
    else:
        axes.margins(x=0.2)
    axes.set_ylim(-1.1, len(rows) - 0.4)
    axes.set_title(
        f"{title_of(evaluation)}, {metric.replace('_', ' ')}{unit_of(metric)}, n = {table.num_units:,}",
        fontsize=10,
        loc="left",
        color=TEXT,
    )
    plain(axes, "x")
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.tick_params(axis="x", labelsize=8.5)
    return figure


def _draw_interval(axes: Axes, place: int, cell: Cell, colour: str, metric: str) -> None:
    factor = 100 if is_share(metric) else 1
    value = factor * cell.interval.value
    ends = cell.interval.low, cell.interval.high
    low, high = (factor * end if cell.has_interval else value for end in ends)
    axes.plot([low, high], [place, place], color=colour, linewidth=3, alpha=0.45)
    axes.plot(value, place, "o", color=colour, markersize=6.5)
    # beside the interval, on the side that has room
    right = high < 88 or factor == 1
    axes.annotate(
        shown(cell.interval.value, metric),
        (high if right else low, place),
        xytext=(5 if right else -5, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        fontsize=8.5,
        color=TEXT,
    )


def draw_training(histories: Mapping[int, pd.DataFrame], source: str) -> Figure:
    """Draws an arm's loss, the spread of its embeddings, and its online kNN probe if there was one.

    Each seed is a thin line.

    Args:
        histories: seed -> `images`, `loss`, `embedding_std` and, of an arm with probes, `knn_accuracy`.
        source: of the arm's images.
    """
    probed = [each for each in histories.values() if _PROBE in each and each[_PROBE].notna().any()]
    figure = Figure(figsize=(2.9, 4.0 if probed else 3.0), layout="constrained")
    heights = [1.7, 1, 1] if probed else [1.7, 1]
    loss, spread, *below = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    width = 1.6 if len(histories) == 1 else 0.9
    top = 1.05
    for history in histories.values():
        thousands = history["images"] / 1000
        loss.plot(thousands, history["loss"], color=light(source), linewidth=width)
        spread.plot(thousands, history["embedding_std"], color=light(source), linewidth=width)
        top = max(top, 1.05 * float(history["embedding_std"].max()))
    spread.set_ylim(0, top)
    spread.xaxis.set_major_locator(MaxNLocator(4))
    for axes in below:
        for history in probed:
            rows = history.dropna(subset=[_PROBE])
            axes.plot(rows["images"] / 1000, 100 * rows[_PROBE], color=light(source), linewidth=width)
        axes.set_ylim(0, 100)
    panels = [loss, spread, *below]
    for axes, label in zip(panels, ("loss", "spread", "kNN, %"), strict=False):
        axes.set_ylabel(label, fontsize=8.5)
        plain(axes, "y")
        axes.tick_params(labelsize=8, labelbottom=axes is panels[-1])
    panels[-1].set_xlabel("thousand views seen", fontsize=8.5)
    return figure
