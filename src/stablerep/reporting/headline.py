"""The report's headline, written from the figures: the best arm, what it beats, and what limits the claim."""

from dataclasses import dataclass

from stablerep.evaluation.bootstrap import Interval
from stablerep.reporting.content import NONE, RAW_PIXELS, UNTRAINED, ReportContent
from stablerep.reporting.metric_names import is_share, shown
from stablerep.reporting.tables import ACCURACY, ArmRow, ArmsTable, title_of

SMOKE = "smoke"
# below it, captions as good as do not name the classes
MIN_CLASS_MENTIONS = 0.01
MIN_SEEDS = 3  # t is 12.7 for two seeds and 4.3 for three; see `stablerep.reporting.intervals`
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
    trained = [row for row in table.rows if row.images != NONE and table.leading in row.cells]
    where = f"{table.set_name}, task {_words(table.task)}, by {title_of(table.leading)}"
    if not trained:
        floor = [row for row in table.rows if table.leading in row.cells]
        values = {row.arm: percent(row.cells[table.leading].interval.value) for row in floor}
        parts = [f"{_floor_title(arm)} {value}{_PERCENT}" for arm, value in values.items()]
        sentence = f"No arm was trained. On {where}: {', '.join(parts)}"
        return Headline(sentence, _cautions(content), None)
    best = trained[0]  # references among the trained ones come last
    cell = best.cells[table.leading]
    metric = table.evaluations[table.leading]
    interval = f" (95{_PERCENT} interval {bounds(cell.interval, metric=metric)})" if cell.has_interval else ""
    measure = "" if metric == ACCURACY else f" {_words(metric)}"
    unit = _PERCENT if is_share(metric) else ""
    reached = (
        f"{title_of(best.arm)}, trained on {_words(best.images)} images, reaches "
        f"{shown(cell.interval.value, metric)}{unit}{measure}{interval} on {where}"
    )
    return Headline(f"{reached}: {_beaten(table, best)}", _cautions(content), best)


def _beaten(table: ArmsTable, best: ArmRow) -> str:
    """Says which of the untrained references the best arm beats."""
    floor = [row for row in table.rows if row.is_floor and table.leading in row.cells]
    resampled = table.resampled.get(table.leading)
    differences: dict[str, Interval] = {}
    for row in floor:
        difference = resampled.difference(best.arm, row.arm) if resampled is not None else None
        if difference is not None:
            differences[row.arm] = difference
    if not differences:
        return "it was compared with neither an untrained encoder nor raw pixels"
    missed = [
        f"{_floor_title(arm)} ({points(each.value)} points, {bounds(each, signed=True)})"
        for arm, each in differences.items()
        if each.low <= 0
    ]
    if missed:
        return f"it does not beat {' or '.join(missed)}"
    strongest = min(differences, key=lambda arm: differences[arm].value)
    which = ", the best reference without training" if len(differences) > 1 else ""
    gain = differences[strongest]
    return f"{percent(gain.value)} points ({bounds(gain)}) above {_floor_title(strongest)}{which}"


def _floor_title(name: str) -> str:
    return _FLOOR_TITLES.get(name, title_of(name))


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
        cautions.append(
            "One seed: differences between seeds are not in the intervals. The figures compare these "
            "encoders, not the methods."
        )
    elif len(content.seeds) < MIN_SEEDS:
        cautions.append(
            "Two seeds: they say little about the spread between seeds, so intervals are wide. To say which "
            "method is better, use at least three."
        )
    return cautions


def _words(name: str) -> str:
    return name.replace("_", " ")


def percent(value: float) -> str:
    """Returns a share as the page shows it, in percent."""
    return shown(value, ACCURACY)


def points(value: float, metric: str = ACCURACY) -> str:
    """Returns a difference with its sign; for shares, in points."""
    return shown(value, metric, signed=True)


def bounds(interval: Interval, signed: bool = False, metric: str = ACCURACY) -> str:
    """Returns the ends of an interval; for shares, in percent."""
    return f"{shown(interval.low, metric, signed)} to {shown(interval.high, metric, signed)}"
