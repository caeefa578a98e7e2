"""Pointwise mutual information: closed forms, and how often its interval holds the truth."""

import math

import numpy as np
import pytest
from scipy.stats import poisson

from stablerep.mutual_information import pmi_interval


def test_information_of_independent_terms_is_none_and_of_equal_ones_their_surprise() -> None:
    pmi, low, high = pmi_interval(20_000, 50_000, 10_000, 100_000)
    assert pmi == pytest.approx(0, abs=1e-3)
    assert low < 0 < high
    pmi, _, _ = pmi_interval(25_000, 25_000, 25_000, 100_000)
    assert pmi == pytest.approx(math.log2(4), abs=1e-3)


def test_the_interval_holds_the_truth_in_95_of_100_samples_and_more() -> None:
    rng = np.random.default_rng(0)
    for p in ([0.1, 0.2, 0.15, 0.55], [0.01, 0.09, 0.09, 0.81]):
        truth = math.log2(p[0] / ((p[0] + p[1]) * (p[0] + p[2])))
        held = 0
        for both, a, b, _ in rng.multinomial(500, p, size=2000):
            _, low, high = pmi_interval(int(a + both), int(b + both), int(both), 500)
            held += (math.isnan(low) or low <= truth) and truth <= high
        assert held / 2000 > 0.945


def test_bounds_are_those_of_the_poisson_count() -> None:
    _, low, high = pmi_interval(11, 11, 2, 20)
    # Garwood: at the bounds, a count so high, or so low, has 2.5 %
    assert poisson.sf(1, 11 * 11 / 20 * 2**low) == pytest.approx(0.025)
    assert poisson.cdf(2, 11 * 11 / 20 * 2**high) == pytest.approx(0.025)


def test_terms_that_never_meet_have_no_lower_bound() -> None:
    _, low, high = pmi_interval(1, 1, 0, 2)
    assert math.isnan(low)
    assert high == pytest.approx(math.log2(-math.log(0.025) / 0.5))
    assert all(math.isnan(end) for end in pmi_interval(0, 1, 0, 2)[1:])


def test_the_interval_holds_the_information_of_its_counts() -> None:
    for num in (1, 2, 9, 40, 10**9):
        for num_a in {1, num // 2, num} - {0}:
            for num_both in {0, 1, num_a // 2, num_a}:
                pmi, low, high = pmi_interval(num_a, num, num_both, num)
                assert pmi <= high
                assert low <= pmi if num_both else math.isnan(low)
