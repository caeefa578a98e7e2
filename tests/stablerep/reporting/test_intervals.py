"""Intervals over seeds and units."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stablerep.errors import DataError
from stablerep.evaluation.bootstrap import interval_over_units
from stablerep.reporting.intervals import Resampled, resample_units, variance_of


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
    expected = interval_over_units(pd.Series(scores["one"][0] - scores["other"][0]), 4000, 0)
    assert found.value == pytest.approx(expected.value)
    assert found.low == pytest.approx(expected.low, abs=2e-3)
    assert found.high == pytest.approx(expected.high, abs=2e-3)


def difference(first, second, num_bootstrap=200, seed=0):
    """Returns how much higher one line of scores is than another, by position or by unit."""
    lines = {"first": pd.Series(first), "second": pd.Series(second)}
    tables = [line.rename_axis("unit").rename("score").reset_index() for line in lines.values()]
    named = [table.assign(arm=arm, seed=0) for table, arm in zip(tables, lines, strict=True)]
    return Resampled(pd.concat(named), num_bootstrap, seed).difference("first", "second")


def test_a_difference_sees_what_separate_intervals_hide():
    hard = np.random.default_rng(0).random(450)
    alone = interval_over_units(pd.Series(hard + 0.02), 1000, 0)
    paired = difference(hard + 0.02, hard, 1000)
    assert alone.low < hard.mean()  # the intervals overlap
    assert paired.value == pytest.approx(0.02)
    assert paired.low > 0.019


def test_a_difference_matches_units_by_name_not_by_place():
    first, second = pd.Series([1.0, 0.0], index=["e", "i"]), pd.Series([0.0, 1.0], index=["i", "e"])
    assert difference(first, second, 100).high == 0


@pytest.mark.parametrize("num_units", [1, 3, 21, 450])
def test_the_widest_difference_is_one(num_units):
    right, wrong = np.ones(num_units), np.zeros(num_units)
    ahead, behind = difference(right, wrong), difference(wrong, right)
    assert (ahead.low, ahead.value, ahead.high) == (1, 1, 1)
    assert (behind.low, behind.value, behind.high) == (-1, -1, -1)


def test_the_interval_of_one_resample_holds_the_difference():
    rng = np.random.default_rng(0)
    for seed in range(20):
        found = difference(rng.random(9), rng.random(9), 1, seed)
        assert found.low <= found.value <= found.high


def test_seeds_that_differ_widen_the_interval(scores):
    alike = {"arm": np.repeat(scores["one"], 3, axis=0)}
    apart = {"arm": alike["arm"] + np.array([[-0.2], [0.0], [0.2]])}
    narrow, wide = (Resampled(frame_of(each), 1000, 0).interval("arm") for each in (alike, apart))
    assert wide.value == pytest.approx(narrow.value)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_variance_is_that_of_the_mean_squares_of_two_crossed_factors():
    rng = np.random.default_rng(1)
    table = 0.3 * rng.standard_normal((8, 1)) + rng.standard_normal((1, 50)) + rng.standard_normal((8, 50))
    of_units = sum((table[:, u].mean() - table.mean()) ** 2 for u in range(50)) * 8 / 49
    of_seeds = sum((table[s].mean() - table.mean()) ** 2 for s in range(8)) * 50 / 7
    rest = sum(
        (table[s, u] - table[s].mean() - table[:, u].mean() + table.mean()) ** 2
        for s in range(8)
        for u in range(50)
    ) / (7 * 49)  # fmt: skip
    found = variance_of(table)
    assert found.units == pytest.approx(of_units / 400)
    assert found.seeds == pytest.approx((of_seeds - rest) / 400)
    assert (found.units_degrees, found.seeds_degrees) == (49, pytest.approx(7))
    half = np.sqrt(stats.t.ppf(0.975, 49) ** 2 * found.units + stats.t.ppf(0.975, 7) ** 2 * found.seeds)
    interval = Resampled(frame_of({"arm": table}), 10, 0).interval("arm")
    assert (interval.low, interval.high) == pytest.approx((table.mean() - half, table.mean() + half))


def test_few_seeds_that_differ_count_as_few():
    far_apart = np.array([[0.0], [0.5], [1.0]]) + np.zeros((3, 100))
    assert variance_of(far_apart).half_width == pytest.approx(4.303 * 0.5 / np.sqrt(3), rel=1e-3)
    assert variance_of(far_apart[:2]).half_width == pytest.approx(12.706 * 0.25, rel=1e-3)


def test_the_seeds_of_two_arms_share_their_degrees_of_freedom():
    far_apart = np.array([[0.0], [0.5], [1.0]]) + np.zeros((3, 100))
    assert variance_of(far_apart, far_apart).seeds_degrees == pytest.approx(4)
    assert variance_of(far_apart, far_apart).seeds == pytest.approx(2 * variance_of(far_apart).seeds)
    assert variance_of(far_apart, 0 * far_apart).seeds_degrees == pytest.approx(2)
    assert variance_of(far_apart, far_apart[:1]).seeds_degrees == pytest.approx(2)


def test_no_variance_between_seeds_is_below_none():
    # means of seeds that are equal while units differ by seed: the estimate of the seeds' part is negative
    table = np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]])
    found = variance_of(table)
    assert found.seeds == 0
    assert found.units > 0


def simulated(rng, num_seeds, num_units, of_seeds, of_units, of_rest):
    """Returns two arms on the same units, with true means 0; each with seeds of its own."""
    shared = of_units * rng.standard_normal((1, num_units))
    return [
        of_seeds * rng.standard_normal((num_seeds, 1))
        + shared
        + of_rest * rng.standard_normal((num_seeds, num_units))
        + 0.3 * of_units * rng.standard_normal((1, num_units))
        for _ in range(2)
    ]


# standard deviations of seeds, units and rest; in the first, 200 units say as little as two seeds do
SIMULATIONS = [(0.07, 1.0, 0.5), (0.3, 1.0, 0.5), (0.0, 1.0, 1.0), (0.02, 0.3, 0.3)]


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
@pytest.mark.parametrize("deviations", SIMULATIONS)
def test_intervals_cover_at_their_nominal_rate_over_seeds_and_units(num_seeds, deviations):
    rng = np.random.default_rng(num_seeds)
    covered = {"arm": 0, "difference": 0}
    for _ in range(1500):
        one, other = simulated(rng, num_seeds, 200, *deviations)
        covered["arm"] += abs(one.mean()) <= variance_of(one).half_width
        covered["difference"] += abs(one.mean() - other.mean()) <= variance_of(one, other).half_width
    rates = {name: number / 1500 for name, number in covered.items()}
    # nominal 95 %; a little more where the seeds' part is near 0, as an estimate below 0 counts as 0
    assert all(0.93 <= rate <= 0.98 for rate in rates.values()), rates


def test_intervals_of_accuracies_cover_at_their_nominal_rate():
    # right and wrong answers to images of 150 units, around 90 %, three seeds
    rng = np.random.default_rng(4)
    truth = stats.norm.cdf(1.6 / np.sqrt(1 + 0.8**2 + 0.15**2))
    covered = 0
    for _ in range(600):
        hard = 1.6 + 0.8 * rng.standard_normal((1, 150)) + 0.15 * rng.standard_normal((3, 1))
        correct = (hard[..., None] + rng.standard_normal((3, 150, 4)) > 0).mean(axis=2)
        covered += abs(correct.mean() - truth) <= variance_of(correct).half_width
    assert 0.925 <= covered / 600 <= 0.985


def test_an_interval_of_shares_ends_at_one(scores):
    table = np.ones((3, 50))
    table[0, :20] = 0.0
    found = Resampled(frame_of({"arm": table}), 10, 0).interval("arm")
    assert found.low < found.value < found.high == 1.0


def test_a_difference_takes_the_same_units_for_both_arms(scores):
    # the arms differ by a constant, so which units are drawn does not matter
    shifted = {"one": scores["one"], "other": scores["one"] - 0.25}
    found = Resampled(frame_of(shifted), 500, 0).difference("one", "other")
    assert (found.low, found.value, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_the_seeds_of_two_arms_vary_apart(scores):
    # equal arms whose seeds differ: paired by seed, the difference would be 0 for certain
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
