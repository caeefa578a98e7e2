"""Is synthetic worth it? Real, synthetic and half of each, at equal images, captions or compute.

Which arms are compared follows from the configuration, not from their names. The sources of a set's parts say
whether an arm's images are real or synthetic. What is equal follows from the set, too: a mixture as large as
another set has an equal number of images, or of captions if its shares count captions. An arm with
`as_much_compute_as` has the same compute as the arm that it names.

The sentence compares the best real arm with the best synthetic one. Which arms are best is chosen on
validation images, so the choice does not bias the compared figures, which are of test images.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stablerep.evaluation.bootstrap import Interval
from stablerep.reporting.axes import TEXT, light, plain
from stablerep.reporting.content import CORPUS, GENERATED, MIXTURE, ReportContent
from stablerep.reporting.headline import MIN_SEEDS, bounds, percent, points
from stablerep.reporting.tables import ArmsTable, list_tasks, make_table, title_of

REAL, SYNTHETIC, HALF = "real", "synthetic", "half"
IMAGES, CAPTIONS, COMPUTE = "images", "captions", "compute"
EQUALS = {
    IMAGES: "an equal number of images",
    CAPTIONS: "an equal number of captions",
    COMPUTE: "equal compute (generation included)",
}
_SHIFTS = {REAL: 0.22, SYNTHETIC: 0.0, HALF: -0.22}  # vertical offset of a kind from its method's line
_KIND_SOURCES = {REAL: CORPUS, SYNTHETIC: GENERATED, HALF: MIXTURE}  # whose colours the kinds take


@dataclass(frozen=True)
class WorthArm:
    """An arm of the comparison.

    Attributes:
        arm: its name.
        method: its method.
        kind: `real`, `synthetic` or `half`.
        num_images: of its set.
        num_captions: of its set.
        num_views: that it saw in training, the mean over seeds; None if there is no history.
        interval: its accuracy.
        validation: its mean accuracy on validation images.
    """

    arm: str
    method: str
    kind: str
    num_images: int
    num_captions: int
    num_views: int | None
    interval: Interval
    validation: float


@dataclass(frozen=True)
class WorthRow:
    """The arms of one method that are compared at one equality.

    Attributes:
        equal: a key of `EQUALS`.
        method: its name.
        arms: kind -> arm, without those whose images the method cannot be trained on.
        differences: kind -> how much more accurate it is than the real arm; none where there is no real arm.
    """

    equal: str
    method: str
    arms: dict[str, WorthArm]
    differences: dict[str, Interval]


@dataclass(frozen=True)
class Worth:
    """The answer.

    Attributes:
        set_name: the evaluation set on which it is given.
        task: its task.
        evaluation: compares the arms.
        rows: by equality, then method.
        sentence: the answer.
        limits: sentences on what the answer does not cover.
    """

    set_name: str
    task: str
    evaluation: str
    rows: list[WorthRow]
    sentence: str
    limits: list[str]


def answer(content: ReportContent) -> Worth | None:
    """Answers from a run's figures; None if no arms can be compared in this way.

    Of several evaluation sets it takes the one on which the best of the compared arms is least accurate,
    because near 100 % arms cannot differ.

    Raises:
        DataError: metrics or unit scores do not fit the arms.
    """
    groups = dict(_groups(content))
    if not groups:
        return None
    tables = [make_table(content, name, tasks[0]) for name, tasks in list_tasks(content.metrics).items()]
    compared = {arm for kinds in groups.values() for arm in kinds.values()}
    table = min(tables, key=lambda each: _best_value(each, compared))
    rows = [
        row
        for (equal, method), kinds in sorted(groups.items(), key=lambda each: [*EQUALS].index(each[0][0]))
        if (row := _row(content, table, equal, method, kinds)) is not None
    ]
    if not rows:
        return None
    sentence = _sentence(table, rows)
    limits = list(_limits(content, rows))
    return Worth(table.set_name, table.task, table.leading, rows, sentence, limits)


def _groups(content: ReportContent) -> Iterator[tuple[tuple[str, str], dict[str, str]]]:
    """Yields (equality, method) -> kind -> arm, for those with a synthetic arm and at least one other."""
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for name, arm in content.arms.items():
        kind, equal = kind_of(content, str(arm["images"])), _equality_of(content, arm)
        if kind is not None and equal is not None:
            groups.setdefault((equal, str(arm["method"])), {})[kind] = name
        other = arm.get("as_much_compute_as")
        if other and kind_of(content, str(content.arms[other]["images"])) == SYNTHETIC:
            groups.setdefault((COMPUTE, str(arm["method"])), {})[SYNTHETIC] = other
    for key, kinds in groups.items():
        if SYNTHETIC in kinds and len(kinds) > 1:
            yield key, kinds


def kind_of(content: ReportContent, images: str) -> str | None:
    """Returns whether a set has real images, synthetic ones or both; None if the page does not have it."""
    kinds = {GENERATED: SYNTHETIC}
    found = {kinds.get(source, REAL) for source in _sources_of(content, images)}
    if not found:
        return None
    return found.pop() if len(found) == 1 else HALF


def _sources_of(content: ReportContent, images: str) -> Iterator[str]:
    facts = content.image_sets.get(images)
    if facts is None:
        return
    if facts.source != MIXTURE:
        yield facts.source
    for part in facts.settings.get("of") or {}:
        yield from _sources_of(content, part)


def _equality_of(content: ReportContent, arm: Any) -> str | None:
    if arm.get("as_much_compute_as"):
        return COMPUTE
    facts = content.image_sets.get(str(arm["images"]))
    if facts is None or facts.source != MIXTURE or not facts.settings.get("as_many_as"):
        return None
    return CAPTIONS if facts.settings.get("shares_of") == "captions" else IMAGES


def _best_value(table: ArmsTable, arms: set[str]) -> float:
    values = [row.cells[table.leading].interval.value for row in table.rows if row.arm in arms]
    return max(values, default=math.inf)


def _row(
    content: ReportContent, table: ArmsTable, equal: str, method: str, kinds: dict[str, str]
) -> WorthRow | None:
    arms = {
        kind: _arm(content, table, kinds[kind], kind) for kind in (REAL, SYNTHETIC, HALF) if kind in kinds
    }
    if any(each is None for each in arms.values()):
        return None
    known = {kind: each for kind, each in arms.items() if each is not None}
    differences = {}
    if REAL in known:
        resampled = table.resampled[table.leading]
        for kind in known.keys() - {REAL}:
            difference = resampled.difference(known[kind].arm, known[REAL].arm)
            if difference is not None:
                differences[kind] = difference
    return WorthRow(equal, method, known, differences)


def _arm(content: ReportContent, table: ArmsTable, name: str, kind: str) -> WorthArm | None:
    found = [row for row in table.rows if row.arm == name and table.leading in row.cells]
    if not found:
        return None
    row, metrics = found[0], content.metrics
    facts = content.image_sets[row.images]
    own = metrics[
        (metrics["arm"] == name)
        & (metrics["set"] == table.set_name)
        & (metrics["task"] == table.task)
        & (metrics["evaluation"] == table.leading)
        & (metrics["metric"] == table.evaluations[table.leading])
    ]
    views = [float(each["images"].iloc[-1]) for (arm, _), each in content.histories.items() if arm == name]
    return WorthArm(
        name,
        row.method,
        kind,
        facts.num_images,
        facts.num_captions,
        round(sum(views) / len(views)) if views else None,
        row.cells[table.leading].interval,
        float(own["validation"].mean()),
    )


def _sentence(table: ArmsTable, rows: Sequence[WorthRow]) -> str:
    where = f"On {table.set_name}, task {table.task.replace('_', ' ')}, by {title_of(table.leading)}"
    clauses = [_clause(table, equal, rows) for equal in EQUALS if any(row.equal == equal for row in rows)]
    return f"{where}: {'; '.join(clauses)}."


def _clause(table: ArmsTable, equal: str, rows: Sequence[WorthRow]) -> str:
    real, synthetic = (_best([row for row in rows if row.equal == equal], kind) for kind in (REAL, SYNTHETIC))
    if real is None or synthetic is None:
        return f"at {EQUALS[equal]} no real arm was trained"
    difference = table.resampled[table.leading].difference(synthetic.arm, real.arm)
    if difference is None:
        return f"at {EQUALS[equal]} the arms cannot be compared, as they have no scores per unit"
    if difference.low > 0:
        verdict = "synthetic images are worth it"
    elif difference.high < 0:
        verdict = "synthetic images are not worth it"
    else:
        verdict = "there is no clear difference between synthetic and real images"
    return (
        f"at {EQUALS[equal]} {verdict}: {title_of(synthetic.method)} on synthetic images reaches "
        f"{percent(synthetic.interval.value)} %, {points(difference.value)} points "
        f"({bounds(difference, signed=True)}) against {title_of(real.method)} on real ones"
    )


def _best(rows: Sequence[WorthRow], kind: str) -> WorthArm | None:
    """Returns the arm of a kind that is best on validation images, the first of equals."""
    arms = [row.arms[kind] for row in rows if kind in row.arms]
    return max(arms, key=lambda each: each.validation, default=None)


def _limits(content: ReportContent, rows: Sequence[WorthRow]) -> Iterator[str]:
    seeds = len(content.seeds)
    if seeds < MIN_SEEDS:
        yield say_what_few_seeds_cannot_say(seeds)
    lacking = sorted({title_of(row.method) for row in rows if REAL not in row.arms})
    if lacking:
        yield (
            f"{' and '.join(lacking)} could not be trained on real images: a method that takes several "
            "images of a caption needs captions that have them. In a mixture it skips those with one image."
        )
    yield (
        "Compute is the time on this machine for drawing images and for training. It does not include "
        "training the generator, taking photographs or writing captions."
    )


def say_what_few_seeds_cannot_say(num_seeds: int) -> str:
    """Returns what a run with fewer than three seeds cannot say."""
    if num_seeds == 1:
        return (
            "One seed: differences between seeds are not in the intervals, so another seed might give "
            "another order."
        )
    return (
        "Two seeds: their spread is estimated from a single difference, so the intervals are wide (t is "
        "12.7) and show only large differences."
    )


def draw_worth(worth: Worth) -> Figure:
    """Draws the accuracy of each arm with its interval: a panel for each equality, a line for each method."""
    equals = [equal for equal in EQUALS if any(row.equal == equal for row in worth.rows)]
    methods = [*dict.fromkeys(row.method for row in worth.rows)][::-1]
    figure = Figure(figsize=(3.0 * len(equals), 1.1 + 0.6 * len(methods)), layout="constrained")
    panels = figure.subplots(1, len(equals), sharex=True, sharey=True, squeeze=False)[0]
    for axes, equal in zip(panels, equals, strict=True):
        for row in (each for each in worth.rows if each.equal == equal):
            for kind, arm in row.arms.items():
                _draw_arm(axes, methods.index(row.method) + _SHIFTS[kind], arm)
        axes.set_title(EQUALS[equal].split(" (")[0], fontsize=9, loc="left", color=TEXT)
        axes.set_xlabel("accuracy in %", fontsize=8)
        plain(axes, "x")
        axes.tick_params(labelsize=8)
    panels[0].set_yticks(range(len(methods)), [title_of(method) for method in methods])
    panels[0].set_ylim(-0.5, len(methods) - 0.5)
    kinds = [kind for kind in _SHIFTS if any(kind in row.arms for row in worth.rows)]
    marks = [Line2D([], [], color=light(_KIND_SOURCES[kind]), marker="o", linewidth=2.5) for kind in kinds]
    figure.legend(marks, kinds, loc="outside lower center", ncols=len(kinds), fontsize=8, frameon=False)
    return figure


def _draw_arm(axes: Axes, place: float, arm: WorthArm) -> None:
    colour, interval = light(_KIND_SOURCES[arm.kind]), arm.interval
    axes.plot(
        [100 * interval.low, 100 * interval.high], [place, place], color=colour, linewidth=2.5, alpha=0.5
    )
    axes.plot(100 * interval.value, place, "o", color=colour, markersize=5)


def worth_markdown(worth: Worth) -> str:
    """Returns the sentence, the table and its limits as Markdown; views only where they are known."""
    has_views = any(arm.num_views is not None for row in worth.rows for arm in row.arms.values())
    heads = ["comparison at", "method", "images", "n images", "n captions", "accuracy, %", "to real, points"]
    lines = [_table_line(heads, has_views, "views"), "|---" * (len(heads) + has_views) + "|"]
    for row in worth.rows:
        for kind, arm in row.arms.items():
            difference = row.differences.get(kind)
            views = "-" if arm.num_views is None else f"{arm.num_views:,}"
            told = "-" if difference is None else f"{points(difference.value)} ({bounds(difference, True)})"
            cells = [
                *(EQUALS[row.equal], title_of(row.method), kind, f"{arm.num_images:,}"),
                *(f"{arm.num_captions:,}", f"{percent(arm.interval.value)} ({bounds(arm.interval)})", told),
            ]
            lines.append(_table_line(cells, has_views, views))
    return "\n".join([worth.sentence, "", *lines, "", *(f"- {limit}" for limit in worth.limits), ""])


def _table_line(cells: Sequence[str], has_views: bool, views: str) -> str:
    """Returns a line of the table, with the views before the accuracy."""
    return f"| {' | '.join([*cells[:5], *([views] if has_views else []), *cells[5:]])} |"
