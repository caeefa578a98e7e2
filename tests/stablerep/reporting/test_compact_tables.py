"""The report's compact tables of further tasks and metrics."""

from dataclasses import replace

import pandas as pd
import pytest

from stablerep.reporting.compact_tables import other_metrics, other_tasks
from stablerep.reporting.tables import make_table
from tests.stablerep.reporting.content import make_content


def test_linear_probes_of_every_task_are_in_columns_and_arms_in_the_order_of_the_first():
    content = make_content((0, 1))
    table = make_table(content, "zoo", "species")
    compact = other_tasks(content, table, ["species", "colour"])
    assert compact is not None
    assert compact.columns == ["species", "colour"]
    assert list(compact.rows) == [row.arm for row in table.rows]
    colours = content.metrics.query(
        "arm == 'clip_real' and task == 'colour' and evaluation == 'linear_probe'"
    )
    assert compact.rows["clip_real"][1] == pytest.approx(colours["value"].mean())
    assert compact.rows["clip_real"][0] == pytest.approx(
        table.row("clip_real").cells["linear_probe"].interval.value
    )


def test_one_task_needs_no_table():
    content = make_content()
    assert other_tasks(content, make_table(content, "farm", "species"), ["species"]) is None


def test_metrics_of_a_task_that_the_leading_evaluation_does_not_take_are_there_too():
    content = make_content()
    of_text = content.metrics.query(
        "evaluation == 'knn' and arm == 'clip_real' and task == 'species'"
    ).assign(evaluation="retrieval", task="captions", metric="text_to_image_recall_at_1", value=0.25)
    more = replace(content, metrics=pd.concat([content.metrics, of_text]))
    table = make_table(more, "zoo", "species")
    compact = other_metrics(more, table)
    assert compact is not None
    assert compact.columns == ["retrieval: text to image recall at 1"], "no metric of the task colour"
    assert compact.rows["clip_real"] == [0.25]
    tasks = other_tasks(more, table, ["species", "colour", "captions"])
    assert tasks is not None
    assert tasks.columns == ["species", "colour"]


def test_metrics_besides_accuracy_have_a_table_of_their_own():
    content = make_content()
    assert other_metrics(content, make_table(content, "zoo", "species")) is None
    top = content.metrics.query("evaluation == 'knn' and arm == 'clip_real'").assign(
        metric="top_5_accuracy", value=0.99
    )
    more = replace(content, metrics=pd.concat([content.metrics, top]))
    compact = other_metrics(more, make_table(more, "zoo", "species"))
    assert compact is not None
    assert compact.columns == ["nearest neighbours: top 5 accuracy"]
    assert compact.rows["clip_real"] == [0.99]
    assert compact.rows["stablerep"] == [None]
