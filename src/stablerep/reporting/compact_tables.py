"""The report's compact tables: further tasks and metrics of the same arms, without differences."""

from dataclasses import dataclass

import pandas as pd

from stablerep.evaluation.bootstrap import Interval
from stablerep.reporting.content import ReportContent
from stablerep.reporting.intervals import Resampled
from stablerep.reporting.tables import ArmsTable, Cell, make_cell, shown_metrics, title_of


@dataclass(frozen=True)
class CompactTable:
    """Further figures of the arms of a table, without differences.

    Attributes:
        columns: their titles.
        metrics: of each column.
        rows: arm -> a figure for each column, a mean over seeds; None where the arm has none.
        intervals: arm -> its interval for each column; None if it is not known.
    """

    columns: list[str]
    metrics: list[str]
    rows: dict[str, list[float | None]]
    intervals: dict[str, list[Interval | None]]


def other_tasks(content: ReportContent, table: ArmsTable, tasks: list[str]) -> CompactTable | None:
    """Makes the table of all tasks of an evaluation set by one evaluation; None where there is one task.

    Args:
        content: of the page.
        table: of the first task; its order of arms is kept.
        tasks: all tasks of the set.
    """
    metrics = content.metrics
    rows = metrics[(metrics["set"] == table.set_name) & (metrics["evaluation"] == table.leading)]
    shown = [task for task in tasks if task in set(rows["task"])]
    if len(shown) < 2:
        return None
    metric_of = {task: shown_metrics(rows[rows["task"] == task])[table.leading] for task in shown}
    kept = rows[rows["metric"] == rows["task"].map(metric_of)]
    return _compact(content, table, kept, "task", metric_of)


def other_metrics(content: ReportContent, table: ArmsTable) -> CompactTable | None:
    """Makes the table of the metrics that the table of a task leaves out; None if there are none.

    It also has metrics of tasks that the leading evaluation does not have, such as retrieval's `captions`.
    """
    of_set = content.metrics[content.metrics["set"] == table.set_name]
    of_labels = of_set.loc[of_set["evaluation"] == table.leading, "task"]
    rows = of_set[(of_set["task"] == table.task) | ~of_set["task"].isin(of_labels)]
    rows = rows[rows["metric"] != rows["evaluation"].map(table.evaluations)]
    if rows.empty:
        return None
    titles = [
        f"{title_of(str(evaluation))}: {str(metric).replace('_', ' ')}"
        for evaluation, metric in zip(rows["evaluation"], rows["metric"], strict=True)
    ]
    metric_of = dict(zip(titles, rows["metric"], strict=True))
    return _compact(content, table, rows.assign(title=titles), "title", metric_of)


def each_seed(content: ReportContent, table: ArmsTable) -> CompactTable | None:
    """Makes the table of the leading figure with each seed; None if there is only one."""
    if len(content.seeds) == 1:
        return None
    metrics, metric = content.metrics, table.evaluations[table.leading]
    rows = metrics[(metrics["set"] == table.set_name) & (metrics["task"] == table.task)]
    rows = rows[(rows["evaluation"] == table.leading) & (rows["metric"] == metric)]
    titled = rows.assign(title=[f"seed {seed}" for seed in rows["seed"]])
    return _compact(content, table, titled, "title", {f"seed {seed}": metric for seed in content.seeds})


def _compact(
    content: ReportContent, table: ArmsTable, rows: pd.DataFrame, column: str, metric_of: dict[str, str]
) -> CompactTable:
    """Turns rows into columns; `metric_of` has the metric of each column, in the order of the columns."""
    cells: dict[tuple[str, str], Cell] = {}
    for name, of_column in rows.groupby(column):
        resampled = _resample(content, of_column)
        for arm, of_arm in of_column.groupby("arm"):
            cells[str(arm), str(name)] = make_cell(of_arm, str(arm), str(arm), resampled)
    found = {row.arm: [cells.get((row.arm, name)) for name in metric_of] for row in table.rows}
    return CompactTable(
        list(metric_of),
        list(metric_of.values()),
        {arm: [None if each is None else each.interval.value for each in own] for arm, own in found.items()},
        {
            arm: [each.interval if each is not None and each.has_interval else None for each in own]
            for arm, own in found.items()
        },
    )


def _resample(content: ReportContent, rows: pd.DataFrame) -> Resampled | None:
    """Returns the scores by unit of one figure; None with one seed, because the metrics have its interval."""
    if rows["seed"].nunique() == 1:
        return None
    keys = ["set", "task", "evaluation", "metric"]
    scores = content.unit_scores
    own = scores[(scores[keys] == list(rows[keys].iloc[0])).all(axis=1)]
    return None if own.empty else Resampled(own, content.num_bootstrap, content.seeds[0])
