"""The report's tables."""

import polars as pl
import pytest

from stablerep.reporting import tables
from tests.stablerep.reporting.content import make_captions, make_tables


def test_arms_come_by_accuracy_and_references_last() -> None:
    metrics, _ = make_tables()
    arms = tables.order_of_arms(metrics, "digit")
    assert set(arms[-3:]) == {"stablerep_drawn", "untrained", "raw_pixels"}
    values = metrics.query("attribute == 'digit' and metric == 'linear_probe'").set_index("arm")["value"]
    assert values[arms[:-3]].is_monotonic_decreasing


def test_an_arm_that_is_told_the_classes_is_a_reference() -> None:
    metrics, hand_scores = make_tables()
    metrics.loc[metrics["arm"] == "stablerep", "value"] = 0.0
    metrics.loc[metrics["arm"] == "clip_real", "method"] = "supcon"
    arms = tables.order_of_arms(metrics, "digit")
    assert arms.index("clip_real") > arms.index("stablerep")
    rows = {row.arm: row for row in tables.arm_rows(metrics, hand_scores, "digit", 200, 0)}
    assert rows["clip_real"].reference


def test_differences_are_paired_and_to_the_baseline() -> None:
    metrics, hand_scores = make_tables()
    rows = {row.arm: row for row in tables.arm_rows(metrics, hand_scores, "digit", 200, 0)}
    assert rows["stablerep"].cells["knn"].difference is None
    assert rows["stablerep"].cells["knn"].verdict == ""
    cell = rows["simclr_real"].cells["linear_probe"]
    own = rows["stablerep"].cells["linear_probe"].interval.value
    assert cell.difference is not None
    assert cell.difference.value == pytest.approx(cell.interval.value - own)
    assert cell.verdict == "below"
    assert rows["raw_pixels"].reference
    assert not rows["clip_real"].reference


def test_rejections_are_counted_by_reason_with_their_first_examples() -> None:
    rejected = make_captions(list("abcdef")).assign(
        filter=["Length"] * 5 + ["Empty"], reason=["too_few_words"] * 5 + ["empty"]
    )
    first, second = tables.rejections(pl.from_pandas(rejected).lazy())
    assert (first.reason, first.count, first.examples) == (
        "too_few_words",
        5,
        [(2, "a"), (3, "b"), (4, "c")],
    )
    assert second.count == 1


def test_seconds_are_shares_of_the_longest() -> None:
    assert tables.stage_rows({"a": 1.0, "b": 4.0}) == [("a", 1.0, 0.25), ("b", 4.0, 1.0)]
    assert tables.stage_rows({}) == []


def test_names_are_spelled_as_in_the_papers() -> None:
    assert tables.title_of("stablerep_plus") == "StableRep+"
    assert tables.title_of("simclr_real") == "SimCLR real"


def test_linear_probes_of_every_attribute_stand_side_by_side() -> None:
    metrics, _ = make_tables()
    table = tables.attribute_table(metrics, "digit")
    assert list(table) == tables.order_of_arms(metrics, "digit")
    assert list(table["stablerep"]) == ["digit", "ink"]
