"""Intervals over hands."""

import numpy as np
import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.evaluation.bootstrap import (
    accuracy_per_hand,
    interval_over_hands,
    paired_difference,
)


def _scores(values: np.ndarray) -> pd.Series:
    return pd.Series(values, index=np.arange(len(values)))


def test_accuracy_per_hand_is_the_share_of_right_scenes() -> None:
    per_hand = accuracy_per_hand(np.array([True, False, True, True]), np.array([7, 7, 3, 3]))
    assert per_hand.to_dict() == {3: 1.0, 7: 0.5}


def test_interval_over_hands_is_wider_than_over_scenes_when_scenes_of_a_hand_agree() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(100) < 0.7, 9)
    hands = np.repeat(np.arange(100), 9)
    over_hands = interval_over_hands(accuracy_per_hand(right, hands), 2000, 0)
    over_scenes = interval_over_hands(accuracy_per_hand(right, np.arange(900)), 2000, 0)
    assert over_hands.value == pytest.approx(over_scenes.value)
    # nine scenes that agree count for one: sqrt(9) times as wide
    ratio = (over_hands.high - over_hands.low) / (over_scenes.high - over_scenes.low)
    assert ratio == pytest.approx(3, rel=0.15)


def test_interval_matches_the_normal_approximation() -> None:
    right = np.arange(450) < 360  # 80 %
    interval = interval_over_hands(_scores(right.astype(float)), 4000, 1)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 450)
    assert interval.value == pytest.approx(0.8)
    assert interval.low == pytest.approx(0.8 - half, abs=0.006)
    assert interval.high == pytest.approx(0.8 + half, abs=0.006)
    assert interval.num_hands == 450


def test_interval_is_a_function_of_its_seed() -> None:
    scores = _scores(np.random.default_rng(0).random(50))
    assert interval_over_hands(scores, 200, 3) == interval_over_hands(scores, 200, 3)
    assert interval_over_hands(scores, 200, 3) != interval_over_hands(scores, 200, 4)


def test_equal_scores_have_an_interval_of_no_width() -> None:
    interval = interval_over_hands(_scores(np.full(21, 0.1)), 100, 0)
    assert interval.low <= interval.value <= interval.high
    assert interval.high - interval.low < 1e-12


def test_paired_difference_sees_what_separate_intervals_hide() -> None:
    hard = np.random.default_rng(0).random(450)
    first, second = _scores(hard + 0.02), _scores(hard)
    alone = interval_over_hands(first, 1000, 0)
    paired = paired_difference(first, second, 1000, 0)
    assert alone.low < second.mean()  # the intervals overlap
    assert paired.value == pytest.approx(0.02)
    assert paired.low > 0.019


def test_paired_difference_matches_hands_by_id_not_by_place() -> None:
    first = pd.Series([1.0, 0.0], index=[5, 9])
    second = pd.Series([0.0, 1.0], index=[9, 5])
    assert paired_difference(first, second, 100, 0).high == 0


def test_other_hands_are_an_error() -> None:
    with pytest.raises(DataError, match="2 hands that only one"):
        paired_difference(pd.Series([1.0], index=[1]), pd.Series([1.0], index=[2]), 10, 0)


def test_no_hand_is_an_error() -> None:
    with pytest.raises(DataError, match="no hand"):
        interval_over_hands(_scores(np.array([])), 10, 0)


@pytest.mark.parametrize("num_hands", [1, 3, 21, 450])
def test_the_widest_difference_is_one(num_hands: int) -> None:
    right, wrong = _scores(np.ones(num_hands)), _scores(np.zeros(num_hands))
    ahead, behind = paired_difference(right, wrong, 200, 0), paired_difference(wrong, right, 200, 0)
    assert (ahead.low, ahead.value, ahead.high) == (1, 1, 1)
    assert (behind.low, behind.value, behind.high) == (-1, -1, -1)


def test_the_interval_of_one_resample_holds_the_difference() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        first, second = (_scores(rng.random(9)) for _ in range(2))
        found = paired_difference(first, second, 1, seed)
        assert found.low <= found.value <= found.high
