"""The page that compares runs: figures with paired intervals, images of the same captions, differences.

The first run is the baseline. Each arm is compared with the arm of the same name if both were tested on the
same units; the difference is paired by unit, as in the report of one run (`stablerep.reporting.intervals`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stablerep.errors import ConfigError
from stablerep.reporting.axes import css_variables
from stablerep.reporting.intervals import Resampled
from stablerep.reporting.pages import page_environment
from stablerep.reporting.parameters import Difference, find_differences
from stablerep.reporting.record import RunRecord
from stablerep.reporting.tables import Cell, make_cell

_KEYS = ["set", "task", "evaluation", "metric"]
_NUM_BOOTSTRAP = 1000
_SHOWN_CAPTIONS = 12


@dataclass(frozen=True)
class ComparedRow:
    """An arm in all runs.

    Attributes:
        arm: its name.
        cells: of each run, with the difference to the first; None if a run has no such arm.
    """

    arm: str
    cells: list[Cell | None]


@dataclass(frozen=True)
class ComparedTable:
    """The figures of one evaluation, task and metric.

    Attributes:
        set_name: the evaluation set.
        task: of the set.
        evaluation: its name.
        metric: of the evaluation.
        num_units: units behind the figures of the first run that has it.
        is_paired: whether differences have intervals; if not, the runs were tested on different units or have
            no scores by unit.
        rows: the arms.
    """

    set_name: str
    task: str
    evaluation: str
    metric: str
    num_units: int
    is_paired: bool
    rows: list[ComparedRow]


@dataclass(frozen=True)
class ComparedCaption:
    """A caption of which several runs have images.

    Attributes:
        text: the caption.
        pictures: (run, image set) -> data addresses.
    """

    text: str
    pictures: dict[tuple[str, str], list[str]]


def build_comparison(runs: Mapping[str, RunRecord], num_bootstrap: int = _NUM_BOOTSTRAP) -> str:
    """Returns the page as HTML; it loads no other file and nothing from the network.

    Args:
        runs: label -> record; the first one is the baseline.
        num_bootstrap: resamples behind intervals.

    Raises:
        ConfigError: there are fewer than two runs.
    """
    if len(runs) < 2:
        raise ConfigError(f"compare: got {len(runs)} run; must be at least two different ones.")
    configurations = [run.configuration for run in runs.values()]
    differences: list[Difference] = find_differences(configurations)
    return (
        page_environment()
        .get_template("comparison.html.j2")
        .render(
            colours=css_variables(),
            runs=runs,
            tables=compare_metrics(runs, num_bootstrap),
            differences=differences,
            captions=compare_captions(runs),
            facts=_facts(runs),
            num_bootstrap=num_bootstrap,
        )
    )


def compare_metrics(
    runs: Mapping[str, RunRecord], num_bootstrap: int = _NUM_BOOTSTRAP
) -> list[ComparedTable]:
    """Compares every figure that at least one run has; within an evaluation accuracies come first."""
    labelled = pd.concat([run.metrics.assign(run=label) for label, run in runs.items()], ignore_index=True)
    scores = pd.concat([run.unit_scores.assign(run=label) for label, run in runs.items()], ignore_index=True)
    seed = int(next(iter(runs.values())).seeds[0])
    tables = []
    for key, rows in labelled.groupby(_KEYS, sort=False):
        of_key = dict(zip(_KEYS, map(str, key), strict=True))
        units = scores[(scores[_KEYS] == [of_key[each] for each in _KEYS]).all(axis=1)]
        tables.append(_compare_one(of_key, rows, units, list(runs), (num_bootstrap, seed)))
    return tables


def _compare_one(
    key: Mapping[str, str], rows: pd.DataFrame, units: pd.DataFrame, labels: list[str], drawn: tuple[int, int]
) -> ComparedTable:
    compared, paired = [], []
    for arm in dict.fromkeys(rows["arm"]):
        resampled = _resample(units[units["arm"] == arm], *drawn)
        cells = []
        for run in labels:
            of_run = rows[(rows["arm"] == arm) & (rows["run"] == run)]
            cells.append(None if of_run.empty else make_cell(of_run, run, labels[0], resampled))
        compared.append(ComparedRow(str(arm), cells))
        if cells[0] is not None:
            paired += [cell.difference is not None for cell in cells[1:] if cell is not None]
    return ComparedTable(
        key["set"], key["task"], key["evaluation"], key["metric"],
        int(rows["num_units"].iloc[0]), bool(paired) and all(paired), compared,
    )  # fmt: skip


def _resample(units: pd.DataFrame, num_bootstrap: int, seed: int) -> Resampled | None:
    """Resamples an arm of several runs as if the runs were arms; None where their units differ."""
    if units.empty:
        return None
    of_runs = [set(group["unit"]) for _, group in units.groupby("run")]
    if any(each != of_runs[0] for each in of_runs):
        return None
    return Resampled(units.assign(arm=units["run"]), num_bootstrap, seed)


def compare_captions(runs: Mapping[str, RunRecord]) -> list[ComparedCaption]:
    """Returns the captions of which at least two runs have images, by id."""
    images = pd.concat([run.images.assign(run=label) for label, run in runs.items()], ignore_index=True)
    shared = []
    for _, rows in images[images["text"] != ""].groupby("caption_id"):
        if rows["run"].nunique() > 1:
            pictures: dict[tuple[str, str], list[str]] = {}
            for row in rows.itertuples():
                pictures.setdefault((str(row.run), str(row.set)), []).append(str(row.picture))
            ordered = sorted(pictures, key=lambda each: (each[1], list(runs).index(each[0])))
            shared.append(
                ComparedCaption(str(rows["text"].iloc[0]), {each: pictures[each] for each in ordered})
            )
    return shared[:_SHOWN_CAPTIONS]


def _facts(runs: Mapping[str, RunRecord]) -> list[dict[str, Any]]:
    """Returns one row per image set, with its facts in each run."""
    names = dict.fromkeys(name for run in runs.values() for name in run.image_sets)
    return [{"name": name, "facts": [run.image_sets.get(name) for run in runs.values()]} for name in names]
