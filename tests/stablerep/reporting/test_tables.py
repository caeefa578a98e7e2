"""The report's tables of arms."""

from dataclasses import replace

import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.evaluation.bootstrap import Interval
from stablerep.reporting.tables import Cell, list_tasks, make_table, title_of
from tests.stablerep.reporting.content import NUM_UNITS, SETS, make_content


def test_sets_and_tasks_come_in_the_order_of_the_metrics():
    assert list_tasks(make_content().metrics) == {name: list(tasks) for name, tasks in SETS.items()}
    with pytest.raises(DataError, match="metrics: the table has no row"):
        list_tasks(make_content().metrics.head(0))


def test_arms_come_by_accuracy_and_references_last():
    rows = make_table(make_content(), "zoo", "species").rows
    assert [row.arm for row in rows[-3:]] == ["stablerep_rendered", "raw_pixels", "untrained"]
    assert [row.is_reference for row in rows] == [False] * 5 + [True] * 3
    values = [row.cells["linear_probe"].interval.value for row in rows[:-3]]
    assert values == sorted(values, reverse=True)


def test_a_method_that_is_given_the_classes_is_a_reference():
    content = make_content()
    metrics = content.metrics.copy()
    metrics.loc[metrics["arm"] == "clip_real", "method"] = "supcon"
    rows = make_table(replace(content, metrics=metrics), "zoo", "species").rows
    assert rows[-3:][0].arm in ("clip_real", "stablerep_rendered")
    assert next(row for row in rows if row.arm == "clip_real").is_reference


def test_rendered_sets_of_one_image_per_caption_are_no_reference():
    content = make_content()
    single = replace(content.image_sets["rendered"], num_images=1024)
    table = make_table(
        replace(content, image_sets={**content.image_sets, "rendered": single}), "zoo", "species"
    )
    assert table.rows[0].arm == "stablerep_rendered"
    assert not table.rows[0].is_reference


def test_differences_are_paired_and_to_the_baseline():
    table = make_table(make_content(), "zoo", "species")
    assert table.baseline == "stablerep"
    assert table.row("stablerep").cells["knn"].difference is None
    assert table.row("stablerep").cells["knn"].verdict == ""
    cell = table.row("simclr_synthetic").cells["linear_probe"]
    own = table.row("stablerep").cells["linear_probe"].interval.value
    assert cell.difference is not None
    assert cell.difference.value == pytest.approx(cell.interval.value - own)
    assert cell.verdict == "below"
    assert table.row("stablerep_plus").cells["knn"].verdict == "above"
    assert table.row("clip_half").cells["linear_probe"].verdict == "level"
    assert table.row("clip_half").source == "mixture"


@pytest.mark.parametrize(
    ("low", "value", "high", "verdict"),
    [
        (0.01, 0.02, 0.03, "above"),
        (0.0, 0.02, 0.03, "level"),
        (-0.03, -0.02, 0.0, "level"),
        (-0.03, -0.02, -0.01, "below"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(low, value, high, verdict):
    assert Cell(Interval(0.5, 0.4, 0.6, 9), Interval(value, low, high, 9), (0.5,)).verdict == verdict


def test_without_an_arm_called_stablerep_the_best_is_the_baseline():
    content = make_content()
    metrics = content.metrics[content.metrics["arm"] != "stablerep"]
    assert make_table(replace(content, metrics=metrics), "zoo", "species").baseline == "stablerep_plus"


def test_with_one_seed_the_interval_is_the_one_over_units():
    content = make_content()
    table = make_table(content, "farm", "species")
    row = content.metrics.query(
        "arm == 'clip_real' and `set` == 'farm' and evaluation == 'knn' and task == 'species'"
    ).iloc[0]
    interval = table.row("clip_real").cells["knn"].interval
    assert (interval.value, interval.low, interval.high) == pytest.approx(
        (row["value"], row["low"], row["high"])
    )
    assert table.num_units == NUM_UNITS


def test_with_several_seeds_the_value_is_their_mean():
    content = make_content((0, 1, 2))
    cell = make_table(content, "zoo", "species").row("clip_real").cells["linear_probe"]
    rows = content.metrics.query(
        "arm == 'clip_real' and `set` == 'zoo' and task == 'species' and evaluation == 'linear_probe'"
    )
    assert cell.per_seed == pytest.approx(tuple(rows["value"]))
    assert cell.interval.value == pytest.approx(rows["value"].mean())
    assert cell.has_interval
    assert cell.interval.low < cell.interval.value < cell.interval.high


def test_an_arm_may_lack_an_evaluation():
    content = make_content()
    knn_of_clip = (content.metrics["arm"] == "clip_real") & (content.metrics["evaluation"] == "knn")
    row = make_table(replace(content, metrics=content.metrics[~knn_of_clip]), "zoo", "species").row(
        "clip_real"
    )
    assert list(row.cells) == ["linear_probe"]


def test_figures_without_scores_by_unit_have_no_interval_over_seeds_and_no_difference():
    content = make_content((0, 1))
    scores = content.unit_scores[content.unit_scores["evaluation"] != "knn"]
    cell = make_table(replace(content, unit_scores=scores), "zoo", "species").row("clip_real").cells["knn"]
    assert not cell.has_interval
    assert cell.difference is None


@pytest.mark.parametrize("others", [("linear_probe", "knn"), ("knn",)])
def test_an_evaluation_that_only_some_arms_take_leads_no_table(others):
    content = make_content()
    of_text = content.metrics.query("arm == 'clip_real' and evaluation == 'knn'").assign(
        evaluation="zero_shot"
    )
    scores_of_text = content.unit_scores.query("arm == 'clip_real' and evaluation == 'knn'").assign(
        evaluation="zero_shot"
    )
    metrics = content.metrics[content.metrics["evaluation"].isin(others)]
    scores = content.unit_scores[content.unit_scores["evaluation"].isin(others)]
    content = replace(
        content,
        metrics=pd.concat([of_text, metrics], ignore_index=True),
        unit_scores=pd.concat([scores_of_text, scores], ignore_index=True),
    )
    table = make_table(content, "zoo", "species")
    assert table.leading == others[0]
    assert [row.arm for row in table.rows if "zero_shot" in row.cells] == ["clip_real"]
    cell = table.row("clip_real").cells["zero_shot"]
    assert cell.interval.value == table.row("clip_real").cells["knn"].interval.value
    assert cell.difference is None, "the baseline has no text tower"


def test_intervals_are_of_the_scores_of_the_metric_that_is_shown():
    content = make_content((0, 1))
    other = content.unit_scores.assign(metric="error", score=1 - content.unit_scores["score"])
    more = replace(content, unit_scores=pd.concat([other, content.unit_scores]))
    cells = [make_table(each, "zoo", "species").row("clip_real").cells for each in (content, more)]
    assert cells[0] == cells[1]


def test_accuracy_is_shown_where_there_are_several_metrics():
    content = make_content()
    other = content.metrics.assign(metric="mean_class_accuracy", value=0.5)
    table = make_table(replace(content, metrics=pd.concat([other, content.metrics])), "zoo", "species")
    assert table.evaluations == {"linear_probe": "accuracy", "knn": "accuracy"}
    assert table.rows[0].cells["knn"].interval.value != 0.5


def test_an_unknown_image_set_or_task_is_an_error():
    content = make_content()
    with pytest.raises(DataError, match="'half'; the report has synthetic, real, rendered"):
        sets = {name: each for name, each in content.image_sets.items() if name != "half"}
        make_table(replace(content, image_sets=sets), "zoo", "species")
    with pytest.raises(DataError, match="task 'age' of 'zoo' has no row"):
        make_table(content, "zoo", "age")


def test_names_are_spelled_as_in_the_papers():
    assert title_of("stablerep_plus") == "StableRep+"
    assert title_of("simclr_real") == "SimCLR real"
    assert title_of("knn") == "nearest neighbours"
    assert title_of("zero_shot") == "zero-shot"
