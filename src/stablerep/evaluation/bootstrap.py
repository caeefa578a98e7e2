"""Percentile bootstrap intervals over statistical units.

Images of one unit (a writer, a patient, a place) share what makes them hard, so they are not independent
draws: the unit is resampled, not the image (B. Efron and R. Tibshirani, An Introduction to the Bootstrap,
1993, chapter 13, for the percentile interval). Intervals over images would be too narrow. Where each image
is its own unit, the two are the same.
Legend: B images, U units, R resamples.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stablerep.errors import DataError
from stablerep.seeding import numpy_generator

LEVEL = 0.95
_STREAM = "bootstrap over units"
_DRAWS_AT_A_TIME = 4_000_000  # 64 MB of indices and scores, however many units there are


@dataclass(frozen=True)
class Interval:
    """A mean over units with its percentile interval.

    Attributes:
        value: the mean.
        low: lower end of the 95 % interval.
        high: upper end.
        num_units: U.
    """

    value: float
    low: float
    high: float
    num_units: int


def mean_per_unit(scores: np.ndarray, units: np.ndarray) -> pd.Series:
    """Returns the mean score of each unit, indexed by unit in rising order.

    Units that are text sort as text: pad numbers with zeros to keep their order.

    Args:
        scores: (B,) one score per image, for instance whether its class was predicted.
        units: (B,) the unit of each image, text or int.
    """
    by_unit = pd.Series(np.asarray(scores, dtype=np.float64)).groupby(np.asarray(units))
    return by_unit.mean().rename_axis("unit").rename("score")


def interval_over_units(per_unit: pd.Series, num_bootstrap: int, seed: int) -> Interval:
    """Resamples units with replacement.

    Args:
        per_unit: (U,) one score per unit, each unit with the same weight.
        num_bootstrap: R.
        seed: decides the resamples; equal seeds and U resample the same units.

    Raises:
        DataError: there is no unit.
    """
    scores = per_unit.to_numpy(dtype=np.float64)
    if not len(scores):
        raise DataError("bootstrap: got scores of no unit; must be at least one")
    rng = numpy_generator(_STREAM, seed)
    means = np.empty(num_bootstrap)
    rows = max(1, _DRAWS_AT_A_TIME // len(scores))
    for start in range(0, num_bootstrap, rows):
        part = means[start : start + rows]
        part[:] = scores[rng.integers(len(scores), size=(len(part), len(scores)))].mean(axis=1)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    value = float(scores.mean())
    # of few resamples all may lie on one side of the mean, and of many by rounding
    return Interval(value, min(float(low), value), max(float(high), value), len(scores))


def paired_difference(first: pd.Series, second: pd.Series, num_bootstrap: int, seed: int) -> Interval:
    """Returns how much higher the first arm scores, with its interval over the same units.

    Both arms were tested on the same images, so what makes a unit hard cancels out: two arms whose
    own intervals overlap may still differ for certain.

    Args:
        first: (U,) one score per unit, indexed by unit.
        second: likewise.
        num_bootstrap: R.
        seed: decides the resamples.

    Raises:
        DataError: the two were not tested on the same units.
    """
    if not first.index.is_unique or not second.index.is_unique:
        raise DataError("paired difference: got a unit twice in one arm; must be one score per unit")
    if set(first.index) != set(second.index):
        num_apart = len(set(first.index) ^ set(second.index))
        raise DataError(
            f"paired difference: got {num_apart} units that only one of the arms was tested on; must be "
            "none. Evaluate both arms in one run."
        )
    return interval_over_units(first - second.reindex(first.index), num_bootstrap, seed)
