"""The report's headline, written from the figures: the best arm, what it beats, and what limits the claim."""

from dataclasses import dataclass

from stablerep.evaluation.bootstrap import Interval
from stablerep.reporting.content import FLOOR, RAW_PIXELS, UNTRAINED, ReportContent
from stablerep.reporting.tables import ArmRow, ArmsTable, title_of

SMOKE = "smoke"
# below it, captions as good as do not name the classes
MIN_CLASS_MENTIONS = 0.01
_PERCENT = "\N{NO-BREAK SPACE}%"
_FLOOR_TITLES = {UNTRAINED: "the untrained encoder", RAW_PIXELS: "raw pixels"}


@dataclass(frozen=True)
class Headline:
    """The page's headline.

    Attributes:
        sentence: the best arm on the first evaluation set's first task, and what it beats.
        cautions: sentences that limit it.
        best: its arm; None where nothing was trained.
    """

    sentence: str
    cautions: list[str]
    best: ArmRow | None


def write_headline(content: ReportContent, table: ArmsTable) -> Headline:
    """Writes the headline.

    Args:
        content: of the page.
        table: the arms on the first task of the first evaluation set.
    """
    trained = [row for row in table.rows if row.arm not in FLOOR and table.leading in row.cells]
    where = f"{table.set_name}, task {_words(table.task)}, by {title_of(table.leading)}"
    if not trained:
        floor = [row for row in table.rows if table.leading in row.cells]
        values = {row.arm: percent(row.cells[table.leading].interval.value) for row in floor}
        parts = [f"{_FLOOR_TITLES[arm]} {value}{_PERCENT}" for arm, value in values.items()]
        sentence = f"No arm was trained. On {where}: {', '.join(parts)}"
        return Headline(sentence, _cautions(content), None)
    best = trained[0]  # references among the trained ones come last
    cell = best.cells[table.leading]
    interval = f" (95{_PERCENT} interval {bounds(cell.interval)})" if cell.has_interval else ""
    metric = table.evaluations[table.leading]
    measure = "" if metric == "accuracy" else f" {_words(metric)}"
    reached = (
        f"{title_of(best.arm)}, trained on {_words(best.images)} images, reaches "
        f"{percent(cell.interval.value)}{_PERCENT}{measure}{interval} on {where}"
    )
    return Headline(f"{reached}: {_beaten(table, best)}", _cautions(content), best)


def _beaten(table: ArmsTable, best: ArmRow) -> str:
    """Says which of the untrained references the best arm beats."""
    floor = [row for row in table.rows if row.arm in FLOOR and table.leading in row.cells]
    resampled = table.resampled.get(table.leading)
    differences: dict[str, Interval] = {}
    for row in floor:
        difference = resampled.difference(best.arm, row.arm) if resampled is not None else None
        if difference is not None:
            differences[row.arm] = difference
    if not differences:
        return "it was compared with no untrained encoder and no raw pixels"
    missed = [
        f"{_FLOOR_TITLES[arm]} ({points(each.value)} points, {bounds(each, signed=True)})"
        for arm, each in differences.items()
        if each.low <= 0
    ]
    if missed:
        return f"it does not beat {' or '.join(missed)}"
    strongest = min(differences, key=lambda arm: differences[arm].value)
    which = ", the best reference without training" if len(differences) > 1 else ""
    gain = differences[strongest]
    return f"{percent(gain.value)} points ({bounds(gain)}) above {_FLOOR_TITLES[strongest]}{which}"


def _cautions(content: ReportContent) -> list[str]:
    cautions = []
    if content.size == SMOKE:
        cautions.append("A smoke run: its figures say nothing about accuracy.")
    for (set_name, task), share in (content.class_mentions or {}).items():
        where = f"of {set_name}, task {_words(task)}"
        if share == 0:
            cautions.append(f"The training captions name no class {where}.")
        elif share < MIN_CLASS_MENTIONS:
            # never rounded up to the bound
            cautions.append(
                f"Only {100 * share:.2g}{_PERCENT} of the training captions name a class {where}."
            )
    if len(content.seeds) == 1:
        cautions.append("One seed: differences between seeds are not in the intervals.")
    if len(content.seeds) == 2:
        cautions.append("Two seeds: they say little about the spread between seeds, so intervals are wide.")
    return cautions


def _words(name: str) -> str:
    return name.replace("_", " ")


def percent(value: float) -> str:
    """Returns a share as the page shows it, in percent."""
    return f"{100 * value:.1f}"


def points(value: float) -> str:
    """Returns a difference of shares in points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")


def bounds(interval: Interval, signed: bool = False) -> str:
    """Returns the ends of an interval in percent."""
    sign = "+" if signed else ""
    low, high = (f"{100 * value:{sign}.1f}" for value in (interval.low, interval.high))
    return f"{low} to {high}".replace("-", "\N{MINUS SIGN}")
