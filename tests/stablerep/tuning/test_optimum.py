"""The interval of the best guidance scale: how often it covers, and what it knows of the noise."""

import numpy as np
import pytest
from scipy.stats import norm

from stablerep.tuning.optimum import Estimate, Observations, Optimum, find_optimum, front

SCALES = (1.0, 8.0, 3.0, 1.7, 5.0)
SPREAD = 1.2  # of the units' difficulty, in the units of a probit


def rounded(x, best):
    return 0.7 - 0.05 * (x - best) ** 2


def steep_then_flat(x, best):
    """Like the curve that was measured: too little guidance costs most."""
    return 0.7 - 0.16 * np.where(x < best, 1, 0.15) * (x - best) ** 2


def simulate(curve, best, rng, num_seeds=3, num_units=200, noise=0.012, of_seeds=0.01):
    """Returns the trials of a study whose accuracies and optimum are known.

    A seed shifts all its trials, a trial has noise of its own, and units are of unequal difficulty: they are
    right or wrong with a probability whose mean over all units that there are is the curve.
    """
    difficulty = rng.normal(0, SPREAD, num_units)
    rows = []
    for seed in range(num_seeds):
        shift = rng.normal(0, of_seeds)
        for scale in SCALES:
            accuracy = curve(np.log(scale), best) + shift + rng.normal(0, noise)
            chance = norm.cdf(norm.ppf(accuracy) * np.sqrt(1 + SPREAD**2) + difficulty)
            rows.append((scale, seed, (rng.uniform(size=num_units) < chance).astype(float)))
    scales, seeds, scores = (np.array(each) for each in zip(*rows, strict=True))
    return Observations(scales, seeds, scores)


@pytest.mark.parametrize("curve", [rounded, steep_then_flat])
def test_the_interval_covers_the_best_scale_as_often_as_it_says(curve):
    """60 studies: an interval of 95 % covers fewer than 52 in 0.6 % of cases, one of 80 % in 82 %."""
    covered = 0
    for number in range(60):
        rng = np.random.default_rng([number, 1])
        best = np.log(8) * rng.uniform(0.15, 0.85)
        found = find_optimum(simulate(curve, best, rng), 1.0, 8.0, number)
        covered += np.exp(best) in found.scale
    assert covered >= 52


def test_more_seeds_and_units_make_the_interval_narrower():
    def width(**more):
        intervals = []
        for number in range(8):
            trials = simulate(rounded, np.log(2.8), np.random.default_rng(number), **more)
            intervals.append(find_optimum(trials, 1.0, 8.0, 0).scale)
        return np.mean([np.log(each.high / each.low) for each in intervals])

    usual = width()
    assert width(num_seeds=12) < 0.9 * usual
    assert width(num_units=4000, noise=0.002) < 0.6 * usual


def test_without_noise_the_best_scale_is_found():
    rng = np.random.default_rng(0)
    trials = simulate(rounded, np.log(2.8), rng, num_seeds=2, num_units=200_000, noise=0, of_seeds=0)
    found = find_optimum(trials, 1.0, 8.0, 0)
    assert found.scale.value == pytest.approx(2.8, rel=0.1)
    assert found.scale.high / found.scale.low < 1.7
    assert found.accuracy_at(2.8).value == pytest.approx(0.7, abs=0.01)
    assert found.loss_at(8.0).low > 0 > found.loss_at(float(found.scale.value)).low - 1e-12


def test_a_flat_curve_has_an_interval_over_most_of_the_range():
    trials = simulate(lambda x, _: 0.7 + 0 * x, 0, np.random.default_rng(3))
    found = find_optimum(trials, 1.0, 8.0, 0)
    assert np.log(found.scale.high / found.scale.low) > 0.7 * np.log(8)


def test_what_a_seed_adds_everywhere_does_not_widen_the_interval():
    """Scales are compared within a seed: twenty points between seeds leave the comparison as it was."""
    calm = simulate(rounded, np.log(2.8), np.random.default_rng(5), of_seeds=0, noise=0.002, num_units=4000)
    shift = np.array([-0.1, 0.0, 0.1])[calm.seeds]
    loud = Observations(calm.scales, calm.seeds, calm.unit_scores + shift[:, None])
    widths = [np.log(e.high / e.low) for e in (find_optimum(t, 1.0, 8.0, 0).scale for t in (calm, loud))]
    assert widths[1] < 1.5 * widths[0]


def test_units_that_find_all_scales_hard_do_not_count_as_noise_between_scales():
    hard = np.repeat([0.2, 0.9], 50)
    shared = Observations(np.array([1.0, 1.0, 8.0, 8.0]), np.array([0, 1, 0, 1]), np.stack([hard] * 4))
    covariance = shared.covariance_of_units()
    assert covariance[0, 0] == pytest.approx(np.var(hard, ddof=1) / 100)
    # of the difference between two scales nothing is left
    assert covariance[0, 0] + covariance[2, 2] - 2 * covariance[0, 2] == pytest.approx(0, abs=1e-12)


def test_units_seeds_noise_is_not_counted_twice():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 2, size=(40, 400)).astype(float)  # all of it changes with the seed
    trials = Observations(np.repeat([1.0, 8.0], 20), np.tile(np.arange(20), 2), scores)
    raw = 0.25 / 20 / 400
    assert np.diagonal(trials.covariance_of_units()).max() < 0.3 * raw


def test_the_study_is_the_same_for_the_same_seed_in_any_order_of_trials():
    trials = simulate(rounded, np.log(2.8), np.random.default_rng(5))
    order = np.random.default_rng(1).permutation(len(trials.scales))
    other = Observations(trials.scales[order], trials.seeds[order], trials.unit_scores[order])
    one, two = (find_optimum(each, 1.0, 8.0, 0).scale for each in (trials, other))
    assert one.low == pytest.approx(two.low, rel=0.1)
    assert find_optimum(trials, 1.0, 8.0, 0).scale == one


def test_one_scale_is_its_own_optimum():
    trials = Observations(np.full(2, 2.0), np.arange(2), np.full((2, 5), 0.5))
    assert find_optimum(trials, 2.0, 2.0, 0).scale == Estimate(2.0, 2.0, 2.0)


def test_losses_are_those_of_each_curve():
    curves = np.array([[0.5, 0.7, 0.6], [0.4, 0.6, 0.6]])
    found = Optimum(Estimate(2.0, 1.0, 4.0), np.array([1.0, 2.0, 4.0]), curves)
    assert found.loss_at(4.0).value == pytest.approx(0.05)
    assert found.accuracy_at(2.0).value == pytest.approx(0.65)
    mean, low, high = found.band()
    assert mean.tolist() == pytest.approx([0.45, 0.65, 0.6])
    assert (low <= mean).all() and (mean <= high).all()


def test_the_front_has_what_nothing_beats():
    #             dominated  cheap  best  as good for more  twin
    accuracies = [0.5, 0.6, 0.9, 0.9, 0.6]
    costs = [6, 5, 10, 12, 5]
    assert front(accuracies, costs) == [False, True, True, False, True]
