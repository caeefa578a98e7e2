"""Intervals over seeds and units."""

import numpy as np
import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.evaluation.bootstrap import paired_difference
from stablerep.reporting.intervals import Resampled, resample_units


def frame_of(scores):
    """Returns arm -> (S, U) scores as a table."""
    rows = [
        {"arm": arm, "seed": seed, "unit": f"u{unit}", "score": value}
        for arm, table in scores.items()
        for seed, line in enumerate(table)
        for unit, value in enumerate(line)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    units = rng.random(80)
    return {
        "one": units + 0.1 + 0.05 * rng.standard_normal((1, 80)),
        "other": units + 0.05 * rng.standard_normal((1, 80)),
    }


def test_resampled_means_are_means_of_scores_drawn_with_replacement():
    means_RL = resample_units(np.eye(4), 2000, 0)
    assert means_RL.shape == (2000, 4)
    # the counts of all units in a resample sum to the number of units
    assert np.allclose(means_RL.sum(axis=1), 1)
    assert np.allclose(means_RL.mean(axis=0), 0.25, atol=0.02)
    # variance of a share of U = 4 draws with probability 1/4
    assert np.allclose(means_RL.var(axis=0), 0.25 * 0.75 / 4, rtol=0.15)


def test_one_seed_gives_the_paired_difference_over_units(scores):
    found = Resampled(frame_of(scores), 4000, 0).difference("one", "other")
    expected = paired_difference(pd.Series(scores["one"][0]), pd.Series(scores["other"][0]), 4000, 0)
    assert found.value == pytest.approx(expected.value)
    assert found.low == pytest.approx(expected.low, abs=2e-3)
    assert found.high == pytest.approx(expected.high, abs=2e-3)


def test_seeds_that_differ_widen_the_interval(scores):
    alike = {"arm": np.repeat(scores["one"], 3, axis=0)}
    apart = {"arm": alike["arm"] + np.array([[-0.2], [0.0], [0.2]])}
    narrow, wide = (Resampled(frame_of(each), 1000, 0).interval("arm") for each in (alike, apart))
    assert wide.value == pytest.approx(narrow.value)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_variance_is_that_of_seeds_and_units_drawn_independently():
    rng = np.random.default_rng(1)
    table = 0.3 * rng.standard_normal((8, 1)) + rng.standard_normal((1, 50))
    interval = Resampled(frame_of({"arm": table}), 4000, 0).interval("arm")
    expected = np.sqrt(table.mean(axis=1).var() / 8 + table.mean(axis=0).var() / 50)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * expected, rel=0.08)


def test_a_difference_draws_the_same_units_for_both_arms(scores):
    # the arms differ by a constant, so which units are drawn does not matter
    shifted = {"one": scores["one"], "other": scores["one"] - 0.25}
    found = Resampled(frame_of(shifted), 500, 0).difference("one", "other")
    assert (found.low, found.value, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_the_seeds_of_two_arms_are_drawn_apart(scores):
    # equal arms whose seeds differ: with equal draws of seeds the difference would be 0 in each resample
    table = np.repeat(scores["one"], 4, axis=0) + np.array([[0.0], [0.1], [0.2], [0.3]])
    found = Resampled(frame_of({"one": table, "other": table}), 500, 0).difference("one", "other")
    assert found.value == 0
    assert found.low < -0.05 and found.high > 0.05


def test_arms_may_have_different_numbers_of_seeds(scores):
    tables = {"one": np.repeat(scores["one"], 3, axis=0), "other": scores["other"]}
    found = Resampled(frame_of(tables), 500, 0).difference("one", "other")
    assert found.value == pytest.approx((scores["one"] - scores["other"]).mean())


def test_an_arm_without_scores_has_no_difference(scores):
    resampled = Resampled(frame_of(scores), 10, 0)
    assert resampled.difference("one", "third") is None
    assert resampled.difference("third", "one") is None


def test_equal_seeds_give_equal_intervals(scores):
    first, second = (Resampled(frame_of(scores), 200, 7).interval("one") for _ in range(2))
    assert first == second
    assert first != Resampled(frame_of(scores), 200, 8).interval("one")


def test_two_scores_of_a_unit_and_different_units_are_errors(scores):
    frame = frame_of(scores)
    with pytest.raises(DataError, match="1 units have two scores"):
        Resampled(pd.concat([frame, frame.tail(1)]), 10, 0)
    with pytest.raises(DataError, match="2 units were tested with only some of the arms"):
        Resampled(frame.head(-2), 10, 0)
