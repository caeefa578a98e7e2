"""The page that compares runs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stablerep.errors import ConfigError
from stablerep.evaluation.bootstrap import interval_over_units
from stablerep.reporting.comparison import build_comparison, compare_captions, compare_metrics
from stablerep.reporting.parameters import find_differences, flatten
from stablerep.reporting.record import RunRecord
from tests.stablerep.reporting.content import make_record
from tests.stablerep.reporting.test_report import Page, text_of

ARM = "clip_real"


def lower_by(record: RunRecord, points: float) -> RunRecord:
    """The same run with every score of one arm lower."""
    scores, metrics = record.unit_scores.copy(), record.metrics.copy()
    scores.loc[scores["arm"] == ARM, "score"] -= points
    metrics.loc[metrics["arm"] == ARM, ["value", "low", "high"]] -= points
    return replace(record, unit_scores=scores, metrics=metrics)


def table_of(runs: dict[str, RunRecord]):
    return next(
        each
        for each in compare_metrics(runs)
        if (each.set_name, each.task, each.evaluation) == ("zoo", "species", "linear_probe")
    )


def test_a_run_compared_with_itself_differs_by_nothing() -> None:
    record = make_record()
    table = table_of({"one": record, "two": record})
    assert table.is_paired
    for row in table.rows:
        first, second = row.cells
        assert first is not None and second is not None and first.difference is None
        found = second.difference
        assert found is not None and (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
        assert second.verdict == "level"


def test_a_difference_is_paired_by_unit() -> None:
    record = make_record()
    table = table_of({"one": record, "two": lower_by(record, 0.1)})
    cells = {row.arm: row.cells[1] for row in table.rows}
    found = cells[ARM].difference
    assert found is not None and found.value == pytest.approx(-0.1)
    assert found.low == pytest.approx(-0.1) and found.high == pytest.approx(-0.1), "equal on each unit"
    assert cells[ARM].verdict == "below" and cells["stablerep"].verdict == "level"


def test_the_interval_is_that_of_the_differences_by_unit() -> None:
    record = make_record()
    scores = record.unit_scores.copy()
    scores["score"] = np.random.default_rng(1).random(len(scores))
    table = table_of({"one": record, "two": replace(record, unit_scores=scores)})
    found = next(row for row in table.rows if row.arm == ARM).cells[1].difference
    key = {"arm": ARM, "set": "zoo", "task": "species", "evaluation": "linear_probe"}
    of_runs = [
        each[(each[list(key)] == list(key.values())).all(axis=1)].set_index("unit")["score"]
        for each in (scores, record.unit_scores)
    ]
    alone = interval_over_units(of_runs[0] - of_runs[1], 1000, 0)
    assert found.value == pytest.approx(alone.value)
    assert found.low == pytest.approx(alone.low, abs=0.02) and found.high == pytest.approx(
        alone.high, abs=0.02
    )


def test_runs_with_other_units_have_no_paired_interval_and_the_page_says_so() -> None:
    record = make_record()
    other = replace(record, unit_scores=record.unit_scores.assign(unit="x-" + record.unit_scores["unit"]))
    table = table_of({"one": record, "two": other})
    assert not table.is_paired
    assert all(row.cells[1].difference is None for row in table.rows)
    assert "Differences have no intervals" in build_comparison({"one": record, "two": other})


def test_an_arm_that_one_run_lacks_has_an_empty_cell() -> None:
    record = make_record()
    fewer = replace(
        record,
        metrics=record.metrics[record.metrics["arm"] != ARM],
        unit_scores=record.unit_scores[record.unit_scores["arm"] != ARM],
    )
    row = next(row for row in table_of({"one": fewer, "two": record}).rows if row.arm == ARM)
    assert row.cells[0] is None and row.cells[1] is not None and row.cells[1].difference is None


def test_runs_of_several_seeds_are_compared_by_their_means() -> None:
    one, two = make_record((0, 1, 2)), lower_by(make_record((0, 1, 2)), 0.1)
    cell = next(row for row in table_of({"one": one, "two": two}).rows if row.arm == ARM).cells[1]
    assert len(cell.per_seed) == 3
    assert cell.difference.value == pytest.approx(-0.1)
    assert cell.difference.low < -0.1 < cell.difference.high, "seeds differ"


def test_the_page_shows_what_differs_and_images_of_shared_captions_side_by_side() -> None:
    one = make_record()
    configuration = {**one.configuration, "generator": {"guidance_scale": 8.0}, "reporting": {}}
    images = one.images[one.images["text"] != "a cow"]
    two = replace(one, configuration=configuration, images=images)
    page = build_comparison({"low": one, "high": two})
    text = text_of(page)
    assert "generator.guidance_scale 2.0 8.0" in text
    assert "reporting.num_bootstrap 200 –" in text
    assert "2 keys; all others are equal." in text
    assert "low: synthetic high: synthetic a brown horse" in text
    assert "a cow" not in text
    checked = Page(page)
    assert checked.open == [] and all(each.startswith("data:image/") for each in checked.addresses)
    assert "<b>spotted</b>" not in page


def test_equal_configurations_are_said_to_be_equal() -> None:
    assert "Nothing differs: the configurations are equal." in build_comparison(
        {"a": make_record(), "b": make_record()}
    )


def test_captions_without_a_text_are_not_shared() -> None:
    record = make_record()
    images = record.images.assign(text="")
    assert compare_captions({"a": replace(record, images=images), "b": replace(record, images=images)}) == []


def test_one_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="compare: got 1 run; must be at least two"):
        build_comparison({"one": make_record()})


def test_configurations_differ_by_their_flat_keys() -> None:
    one, two = {"a": {"b": 1, "c": [1, 2]}, "d": None}, {"a": {"b": 2, "c": [1, 2]}, "e": {}}
    assert flatten(one) == {"a.b": "1", "a.c": "[1, 2]", "d": "None"}
    found = {each.key: each.values for each in find_differences([one, two])}
    assert found == {"a.b": ("1", "2"), "d": ("None", None)}


def test_every_metric_of_a_run_is_compared() -> None:
    record = make_record()
    rank = record.metrics.query("evaluation == 'knn'").assign(metric="median_rank", value=9.0)
    more = replace(record, metrics=pd.concat([record.metrics, rank]))
    tables = compare_metrics({"a": record, "b": more})
    (found,) = [each for each in tables if each.metric == "median_rank" and each.set_name == "farm"]
    assert not found.is_paired and found.rows[0].cells[0] is None
