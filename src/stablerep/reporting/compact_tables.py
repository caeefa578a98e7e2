"""The report's compact tables: further tasks and metrics of the same arms, without intervals."""

from dataclasses import dataclass

import pandas as pd

from stablerep.reporting.content import ReportContent
from stablerep.reporting.tables import ArmsTable, shown_metrics, title_of


@dataclass(frozen=True)
class CompactTable:
    """Further figures of the arms of a table, without intervals.

    Attributes:
        columns: their titles.
        rows: arm -> a mean over seeds for each column; None where the arm has none.
    """

    columns: list[str]
    rows: dict[str, list[float | None]]


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
    metric = rows["task"].map(
        {task: shown_metrics(rows[rows["task"] == task])[table.leading] for task in shown}
    )
    return _compact(table, rows[rows["metric"] == metric], "task", shown)


def other_metrics(content: ReportContent, table: ArmsTable) -> CompactTable | None:
    """Makes the table of the metrics that the table of a task leaves out; None where there are none."""
    metrics = content.metrics
    rows = metrics[(metrics["set"] == table.set_name) & (metrics["task"] == table.task)]
    rows = rows[rows["metric"] != rows["evaluation"].map(table.evaluations)]
    if rows.empty:
        return None
    titles = [
        f"{title_of(str(evaluation))}: {str(metric).replace('_', ' ')}"
        for evaluation, metric in zip(rows["evaluation"], rows["metric"], strict=True)
    ]
    return _compact(table, rows.assign(title=titles), "title", list(dict.fromkeys(titles)))


def _compact(table: ArmsTable, rows: pd.DataFrame, column: str, names: list[str]) -> CompactTable:
    means = rows.groupby(["arm", column])["value"].mean().to_dict()
    values = {row.arm: [means.get((row.arm, name)) for name in names] for row in table.rows}
    return CompactTable(names, values)
