"""Intervals over units."""

import numpy as np
import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.evaluation import bootstrap
from stablerep.evaluation.bootstrap import (
    interval_of_function,
    interval_over_units,
    interval_over_units_and_repeats,
    mean_per_unit,
    means_per_unit,
)
from stablerep.seeding import numpy_generator


def _scores(values: np.ndarray) -> pd.Series:
    return pd.Series(values, index=np.arange(len(values)))


def test_mean_per_unit_is_the_share_of_right_images() -> None:
    per_unit = mean_per_unit(np.array([True, False, True, True]), np.array(["b", "b", "a", "a"]))
    assert per_unit.to_dict() == {"a": 1.0, "b": 0.5}
    assert list(per_unit.index) == ["a", "b"]


def test_interval_over_units_is_wider_than_over_images_when_images_of_a_unit_agree() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(100) < 0.7, 9)
    units = np.repeat(np.arange(100), 9)
    over_units = interval_over_units(mean_per_unit(right, units), 2000, 0)
    over_images = interval_over_units(mean_per_unit(right, np.arange(900)), 2000, 0)
    assert over_units.value == pytest.approx(over_images.value)
    # nine images that agree count as one: sqrt(9) times as wide
    ratio = (over_units.high - over_units.low) / (over_images.high - over_images.low)
    assert ratio == pytest.approx(3, rel=0.15)


def test_interval_matches_the_normal_approximation() -> None:
    right = np.arange(450) < 360  # 80 %
    interval = interval_over_units(_scores(right.astype(float)), 4000, 1)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 450)
    assert interval.value == pytest.approx(0.8)
    assert interval.low == pytest.approx(0.8 - half, abs=0.006)
    assert interval.high == pytest.approx(0.8 + half, abs=0.006)
    assert interval.num_units == 450


def test_interval_is_a_function_of_its_seed() -> None:
    scores = _scores(np.random.default_rng(0).random(50))
    assert interval_over_units(scores, 200, 3) == interval_over_units(scores, 200, 3)
    assert interval_over_units(scores, 200, 3) != interval_over_units(scores, 200, 4)


def test_draws_in_parts_give_the_numbers_of_one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).random(37)
    rng = numpy_generator("bootstrap over units", 3)
    means = scores[rng.integers(37, size=(501, 37))].mean(axis=1)
    expected = tuple(np.quantile(means, [0.025, 0.975]))
    for draws_at_a_time in (1, 100, 10**9):  # in parts or all at once
        monkeypatch.setattr(bootstrap, "_DRAWS_AT_A_TIME", draws_at_a_time)
        interval = interval_over_units(_scores(scores), 501, 3)
        assert (interval.low, interval.high) == expected


def test_equal_scores_have_an_interval_of_no_width() -> None:
    interval = interval_over_units(_scores(np.full(21, 0.1)), 100, 0)
    assert interval.low <= interval.value <= interval.high
    assert interval.high - interval.low < 1e-12


def test_no_unit_is_an_error() -> None:
    with pytest.raises(DataError, match="no unit"):
        interval_over_units(_scores(np.array([])), 10, 0)


def test_an_interval_of_a_function_of_means_is_that_of_a_mean_where_it_is_one() -> None:
    rng = np.random.default_rng(0)
    scores, units = rng.random(60), np.repeat([f"u{i:02d}" for i in range(20)], 3)
    columns_BK = np.stack([scores, 2 * scores], axis=1)
    means_UK = means_per_unit(columns_BK, units)
    found = interval_of_function(means_UK, lambda means: means.sum(axis=-1) / 3, 500, 4)
    alone = interval_over_units(mean_per_unit(scores, units), 500, 4)
    assert (found.value, found.low, found.high) == pytest.approx((alone.value, alone.low, alone.high))
    assert found.num_units == 20


def test_an_interval_of_a_function_needs_a_unit() -> None:
    with pytest.raises(DataError, match="scores of no unit"):
        interval_of_function(np.empty((0, 2)), lambda means: means.sum(axis=-1), 10, 0)


def test_an_interval_over_units_and_repeats_has_the_variance_of_both() -> None:
    rng = np.random.default_rng(0)
    units, repeats = rng.normal(size=(400, 1)), rng.normal(size=(1, 10))
    for size_of_units, size_of_repeats in ((1.0, 0.0), (0.0, 0.2), (1.0, 0.2)):
        scores = size_of_units * units + size_of_repeats * repeats
        found = interval_over_units_and_repeats(scores, 4000, 0)
        variance = (size_of_units * units.std()) ** 2 / 400 + (size_of_repeats * repeats.std()) ** 2 / 10
        assert found.value == pytest.approx(scores.mean())
        assert (found.high - found.low) / 2 == pytest.approx(1.96 * variance**0.5, rel=0.07)
