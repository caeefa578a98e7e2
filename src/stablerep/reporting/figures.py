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
from stablerep.reporting.tables import ArmsTable, Cell, title_of

SOURCE_TITLES = {
    GENERATED: "generated images",
    CORPUS: "the corpus's own images",
    RENDERED: "images rendered from captions",
    MIXTURE: "a mixture of image sets",
    NONE: "no images of this experiment",
}
_DASHES = (0, (3, 3))


def draw_accuracies(table: ArmsTable, evaluation: str, chance: float | None) -> Figure:
    """Draws the accuracy of each arm with its interval, by one evaluation.

    Args:
        table: the arms on one task of an evaluation set.
        evaluation: which one.
        chance: accuracy of guessing, in [0, 1]; drawn as a line, not at all where it is None.
    """
    rows = [row for row in table.rows if evaluation in row.cells][::-1]
    figure = Figure(figsize=(5.2, 0.95 + 0.34 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        _draw_interval(axes, place, row.cells[evaluation], light(row.source))
    if chance is not None:
        axes.axvline(100 * chance, color=TEXT, linewidth=0.8, linestyle=_DASHES)
        axes.text(100 * chance, -0.75, " chance", fontsize=8, color=TEXT, va="center")
    axes.set_yticks(range(len(rows)), [title_of(row.arm) for row in rows])
    axes.set_xlim(0, 104)
    axes.set_ylim(-1.1, len(rows) - 0.4)
    metric = table.evaluations[evaluation].replace("_", " ")
    axes.set_title(f"{title_of(evaluation)}, {metric} in %", fontsize=10, loc="left", color=TEXT)
    plain(axes, "x")
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.tick_params(axis="x", labelsize=8.5)
    return figure


def _draw_interval(axes: Axes, place: int, cell: Cell, colour: str) -> None:
    value = 100 * cell.interval.value
    low, high = (100 * end if cell.has_interval else value for end in (cell.interval.low, cell.interval.high))
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
        color=TEXT,
    )


def draw_training(histories: Mapping[int, pd.DataFrame], source: str) -> Figure:
    """Draws an arm's loss and, below it, the spread of its embeddings; each seed is a thin line.

    Args:
        histories: seed -> `images`, `loss`, `embedding_std`.
        source: of the arm's images.
    """
    figure = Figure(figsize=(2.9, 3.0), layout="constrained")
    loss, spread = figure.subplots(2, 1, sharex=True, height_ratios=[1.7, 1])
    width = 1.6 if len(histories) == 1 else 0.9
    top = 1.05
    for history in histories.values():
        thousands = history["images"] / 1000
        loss.plot(thousands, history["loss"], color=light(source), linewidth=width)
        spread.plot(thousands, history["embedding_std"], color=light(source), linewidth=width)
        top = max(top, 1.05 * float(history["embedding_std"].max()))
    spread.set_ylim(0, top)
    spread.xaxis.set_major_locator(MaxNLocator(4))
    spread.set_xlabel("thousand images seen", fontsize=8.5)
    for axes, label in ((loss, "loss"), (spread, "spread")):
        axes.set_ylabel(label, fontsize=8.5)
        plain(axes, "y")
        axes.tick_params(labelsize=8)
    loss.tick_params(labelbottom=False)
    return figure
