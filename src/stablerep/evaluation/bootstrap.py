"""Percentile intervals over hands.

Scenes of one hand share its handwriting and are right or wrong together, so scenes are no independent
draws: the unit that is resampled is the hand (B. Efron and R. Tibshirani, An Introduction to the
Bootstrap, 1993, chapter 13, for the percentile interval). Intervals over scenes would be too narrow.
Legend: B scenes, H hands, R resamples.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stablerep.errors import DataError
from stablerep.seeding import numpy_generator

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over hands with its percentile interval.

    Attributes:
        value: the mean.
        low: lower end of the 95 % interval.
        high: upper end.
        num_hands: H.
    """

    value: float
    low: float
    high: float
    num_hands: int


def accuracy_per_hand(correct: np.ndarray, hand_ids: np.ndarray) -> pd.Series:
    """Returns the share of right scenes of each hand, indexed by hand id in rising order.

    Args:
        correct: (B,) bool.
        hand_ids: (B,) int.
    """
    by_hand = pd.Series(np.asarray(correct, dtype=np.float64)).groupby(np.asarray(hand_ids))
    return by_hand.mean().rename_axis("hand_id").rename("accuracy")


def interval_over_hands(per_hand: pd.Series, num_bootstrap: int, seed: int) -> Interval:
    """Resamples hands with replacement.

    Args:
        per_hand: (H,) a score a hand, each hand with the same weight.
        num_bootstrap: R.
        seed: decides the resamples; equal seeds and H resample the same hands.

    Raises:
        DataError: there is no hand.
    """
    scores = per_hand.to_numpy(dtype=np.float64)
    if not len(scores):
        raise DataError("bootstrap: got scores of no hand; must be at least one")
    rng = numpy_generator("bootstrap over hands", seed)
    means = scores[rng.integers(len(scores), size=(num_bootstrap, len(scores)))].mean(axis=1)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    value = float(scores.mean())
    # of few resamples all may lie on one side of the mean, and of many by rounding
    return Interval(value, min(float(low), value), max(float(high), value), len(scores))


def paired_difference(first: pd.Series, second: pd.Series, num_bootstrap: int, seed: int) -> Interval:
    """Returns how much higher the first arm scores, with its interval over the same hands.

    Both arms were tested on the same scenes, so what makes a hand hard cancels out: two arms whose
    own intervals overlap may still differ for certain.

    Args:
        first: (H,) a score a hand, indexed by hand id.
        second: likewise.
        num_bootstrap: R.
        seed: decides the resamples.

    Raises:
        DataError: the two were not tested on the same hands.
    """
    if not first.index.is_unique or not second.index.is_unique:
        raise DataError("paired difference: got a hand twice in an arm; must be one score a hand")
    if set(first.index) != set(second.index):
        num_apart = len(set(first.index) ^ set(second.index))
        raise DataError(
            f"paired difference: got {num_apart} hands that only one of the arms was tested on; must be "
            "none. Evaluate both arms in one run."
        )
    return interval_over_hands(first - second.reindex(first.index), num_bootstrap, seed)
