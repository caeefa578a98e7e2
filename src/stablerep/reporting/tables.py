"""The report's tables of arms: accuracies with intervals, and differences paired by unit."""

import math
from dataclasses import dataclass

import pandas as pd

from stablerep.errors import DataError
from stablerep.evaluation.bootstrap import Interval
from stablerep.reporting.content import NONE, ReportContent
from stablerep.reporting.intervals import Resampled
from stablerep.reporting.metric_names import lower_is_better

LINEAR_PROBE = "linear_probe"
ACCURACY = "accuracy"
BASELINE = "stablerep"
# how the papers write the names that stand in the configuration
_SPELLINGS = {"stablerep": "StableRep", "simclr": "SimCLR", "clip": "CLIP", "supcon": "SupCon"}
_TITLES = {"knn": "nearest neighbours", "zero_shot": "zero-shot"}


@dataclass(frozen=True)
class Cell:
    """One figure of an arm, a share in [0, 1].

    Attributes:
        interval: the mean over seeds with its interval; the ends are NaN where none is known.
        difference: to the baseline on the same units; None for the baseline, and where one of the two has no
            scores by unit.
        per_seed: the value of each seed.
    """

    interval: Interval
    difference: Interval | None
    per_seed: tuple[float, ...]

    @property
    def has_interval(self) -> bool:
        """Whether the ends of the interval are known."""
        return not math.isnan(self.interval.low)

    @property
    def verdict(self) -> str:
        """`above` or `below` where the difference's interval excludes 0, else `level`; empty without one."""
        if self.difference is None:
            return ""
        if self.difference.low > 0:
            return "above"
        return "below" if self.difference.high < 0 else "level"

    def judged(self, metric: str) -> str:
        """Returns `good` or `bad` if the verdict is above or below, by which is better for the metric."""
        if self.verdict not in ("above", "below"):
            return "level"
        return "good" if (self.verdict == "below") == lower_is_better(metric) else "bad"


@dataclass(frozen=True)
class ArmRow:
    """One arm of a table.

    Attributes:
        arm: its name.
        method: its method.
        images: the image set that it was trained on.
        source: of that set.
        is_reference: whether it is no part of the comparison, but a bound to compare with.
        cells: by column; an arm lacks those evaluations that it cannot take.
    """

    arm: str
    method: str
    images: str
    source: str
    is_reference: bool
    cells: dict[str, Cell]

    @property
    def is_floor(self) -> bool:
        """Whether it was not trained: every arm has to beat it."""
        return self.images == self.method == NONE


@dataclass(frozen=True)
class ArmsTable:
    """The arms by evaluation, for one task of an evaluation set.

    Attributes:
        set_name: the evaluation set.
        task: the task.
        leading: the evaluation by which arms are ordered.
        evaluations: evaluation -> the metric that is shown.
        baseline: the arm that others are compared with.
        num_units: units behind the intervals of the leading evaluation.
        rows: the arms, the best first, references last.
        resampled: by evaluation, for further differences.
    """

    set_name: str
    task: str
    leading: str
    evaluations: dict[str, str]
    baseline: str
    num_units: int
    rows: list[ArmRow]
    resampled: dict[str, Resampled]

    def row(self, arm: str) -> ArmRow:
        """Returns the row of an arm."""
        return next(row for row in self.rows if row.arm == arm)


def title_of(name: str) -> str:
    """Returns a name of the configuration as people write it: `stablerep_plus` is StableRep+."""
    if name in _TITLES:
        return _TITLES[name]
    words = [_SPELLINGS.get(word, word) for word in name.split("_")]
    return " ".join(words).replace(" plus", "+")


def list_tasks(metrics: pd.DataFrame) -> dict[str, list[str]]:
    """Returns evaluation set -> tasks, in the order of the rows.

    Raises:
        DataError: there are no metrics.
    """
    if metrics.empty:
        raise DataError(
            "metrics: the table has no row; it must have one per arm. Run `kedro run --pipelines evaluation`."
        )
    tasks: dict[str, list[str]] = {}
    for set_name, task in metrics[["set", "task"]].drop_duplicates().itertuples(index=False):
        tasks.setdefault(str(set_name), []).append(str(task))
    return tasks


def _choose_leading(shown: pd.DataFrame) -> str:
    """Returns the linear probe if there is one, else the evaluation of most arms, the first of equals.

    An evaluation whose figure is an accuracy is preferred.
    """
    accuracies = shown[shown["metric"] == ACCURACY]
    rows = shown if accuracies.empty else accuracies
    num_arms = rows.groupby("evaluation", sort=False)["arm"].nunique()
    return LINEAR_PROBE if LINEAR_PROBE in num_arms.index else str(num_arms.idxmax())


def shown_metrics(rows: pd.DataFrame) -> dict[str, str]:
    """Returns evaluation -> the metric that is shown: accuracy, or the first where there is none."""
    shown = {}
    for evaluation, group in rows.groupby("evaluation", sort=False):
        names = list(group["metric"])
        shown[str(evaluation)] = ACCURACY if ACCURACY in names else str(names[0])
    return shown


def make_table(content: ReportContent, set_name: str, task: str) -> ArmsTable:
    """Makes the table of arms for one task of an evaluation set.

    With one seed an arm's interval is the one in `metrics`; with several it is resampled over seeds and
    units, see `stablerep.reporting.intervals`.

    Raises:
        DataError: the task was not evaluated, or unit scores do not fit the metrics.
    """
    metrics, scores = content.metrics, content.unit_scores
    rows = metrics[(metrics["set"] == set_name) & (metrics["task"] == task)]
    if rows.empty:
        raise DataError(f"metrics: task {task!r} of {set_name!r} has no row. Run the evaluation again.")
    evaluations = shown_metrics(rows)
    of_task = scores[(scores["set"] == set_name) & (scores["task"] == task)]
    of_task = of_task[of_task["metric"] == of_task["evaluation"].map(evaluations)]
    resampled = {
        str(evaluation): Resampled(group, content.num_bootstrap, content.seeds[0])
        for evaluation, group in of_task.groupby("evaluation", sort=False)
    }
    shown = rows[rows["metric"] == rows["evaluation"].map(evaluations)]
    leading = _choose_leading(shown)
    arms = _order(content, shown, leading)
    baseline = BASELINE if BASELINE in arms else arms[0]
    num_units = int(shown.loc[shown["evaluation"] == leading, "num_units"].iloc[0])
    table = ArmsTable(set_name, task, leading, evaluations, baseline, num_units, [], resampled)
    table.rows.extend(_row(content, table, shown[shown["arm"] == arm]) for arm in arms)
    return table


def _order(content: ReportContent, rows: pd.DataFrame, leading: str) -> list[str]:
    """Returns the arms by their mean over seeds, the best first; references come last."""
    of_leading = rows[rows["evaluation"] == leading]
    sign = -1.0 if lower_is_better(str(of_leading["metric"].iloc[0])) else 1.0
    means = (sign * of_leading.groupby("arm")["value"].mean()).to_dict()
    keys = []
    for place, row in enumerate(rows.drop_duplicates("arm").to_dict("records")):
        arm = str(row["arm"])
        is_reference = content.is_reference(str(row["method"]), str(row["images"]))
        keys.append((is_reference, -means.get(arm, -math.inf), place, arm))
    return [arm for *_, arm in sorted(keys)]


def _row(content: ReportContent, table: ArmsTable, rows: pd.DataFrame) -> ArmRow:
    arm, method, images = (str(rows[name].iloc[0]) for name in ("arm", "method", "images"))
    cells = {
        str(evaluation): make_cell(group, arm, table.baseline, table.resampled.get(str(evaluation)))
        for evaluation, group in rows.groupby("evaluation", sort=False)
    }
    reference = content.is_reference(method, images)
    return ArmRow(arm, method, images, content.source_of(images), reference, cells)


def make_cell(rows: pd.DataFrame, name: str, baseline: str, resampled: Resampled | None) -> Cell:
    """Makes a cell.

    Args:
        rows: of the metrics, one for each seed.
        name: of the arm, as `resampled` has it.
        baseline: that it is compared with.
        resampled: the scores by unit; None if there are none.
    """
    values = tuple(float(value) for value in rows.sort_values("seed")["value"])
    first, num_units = rows.iloc[0], int(rows["num_units"].iloc[0])
    mean, known = sum(values) / len(values), resampled is not None and name in resampled
    if len(values) == 1:
        interval = Interval(mean, float(first["low"]), float(first["high"]), num_units)
    elif resampled is not None and known:
        found = resampled.interval(name)
        interval = Interval(mean, min(found.low, mean), max(found.high, mean), num_units)
    else:
        interval = Interval(mean, math.nan, math.nan, num_units)
    difference = None
    if resampled is not None and name != baseline:
        difference = resampled.difference(name, baseline)
    return Cell(interval, difference, values)
