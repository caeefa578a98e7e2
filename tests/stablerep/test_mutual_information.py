"""Pointwise mutual information: closed forms, and how often its interval holds the truth."""

import math

import numpy as np
import pytest

from stablerep.mutual_information import pmi_interval


def test_information_of_independent_terms_is_none_and_of_equal_ones_their_surprise() -> None:
    pmi, low, high = pmi_interval(20_000, 50_000, 10_000, 100_000)
    assert pmi == pytest.approx(0, abs=1e-3)
    assert low < 0 < high
    pmi, _, _ = pmi_interval(25_000, 25_000, 25_000, 100_000)
    assert pmi == pytest.approx(math.log2(4), abs=1e-3)


def test_the_interval_holds_the_truth_in_95_of_100_samples() -> None:
    rng = np.random.default_rng(0)
    p = np.array([0.1, 0.2, 0.15, 0.55])
    truth = math.log2(p[0] / ((p[0] + p[1]) * (p[0] + p[2])))
    held = 0
    for both, a, b, _ in rng.multinomial(500, p, size=2000):
        _, low, high = pmi_interval(int(a + both), int(b + both), int(both), 500)
        held += low <= truth <= high
    assert 0.93 < held / 2000 < 0.97


def test_few_samples_make_a_wide_interval() -> None:
    widths = [high - low for _, low, high in (pmi_interval(4 * n, 4 * n, n, 16 * n) for n in (1, 10, 100))]
    assert widths[0] > widths[1] > widths[2]
    _, low, high = pmi_interval(1, 1, 0, 2)
    assert low < -1 < 1 < high
