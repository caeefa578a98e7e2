"""Percentile bootstrap intervals over statistical units.

Images of one unit (a writer, a patient, a place) share what makes them hard, so they are not independent
draws: the unit is resampled, not the image (B. Efron and R. Tibshirani, An Introduction to the Bootstrap,
1993, chapter 13, for the percentile interval). Intervals over images would be too narrow. Where each image
is its own unit, the two are the same.
Legend: B images, U units, R resamples, K means that a metric is a function of, E repeats.
"""

from collections.abc import Callable
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
    """A mean over units, or a function of such means, with its percentile interval.

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
    _check_units(len(scores))
    return _interval(float(scores.mean()), _resampled_means(scores, num_bootstrap, seed), len(scores))


def means_per_unit(scores_BK: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Returns the (U, K) mean of each unit, in rising order of the units.

    Args:
        scores_BK: (B, K).
        units: (B,) the unit of each image, text or int.
    """
    by_unit = pd.DataFrame(np.asarray(scores_BK, dtype=np.float64)).groupby(np.asarray(units))
    return by_unit.mean().to_numpy()


def interval_of_function(
    means_UK: np.ndarray, function: Callable[[np.ndarray], np.ndarray], num_bootstrap: int, seed: int
) -> Interval:
    """Resamples units with replacement, for a metric that is a function of means over units.

    Args:
        means_UK: (U, K) of each unit.
        function: maps (..., K) means over units to (...) values of the metric.
        num_bootstrap: R.
        seed: as in `interval_over_units`, and the same resamples.

    Raises:
        DataError: there is no unit.
    """
    _check_units(len(means_UK))
    value = float(function(means_UK.mean(axis=0)))
    return _interval(value, function(_resampled_means(means_UK, num_bootstrap, seed)), len(means_UK))


def interval_over_units_and_repeats(means_UE: np.ndarray, num_bootstrap: int, seed: int) -> Interval:
    """Resamples units and repeats with replacement, independently.

    Repeats are other random draws, such as the shots of an episode: other draws would give other scores,
    so they are a sample too (two crossed factors: A. B. Owen, The pigeonhole bootstrap,
    Annals of Applied Statistics 1(2), 2007).

    Args:
        means_UE: (U, E) of each unit in each repeat.
        num_bootstrap: R.
        seed: as in `interval_over_units`, and the same resamples of the units.

    Raises:
        DataError: there is no unit.
    """
    _check_units(len(means_UE))
    means_RE = _resampled_means(means_UE, num_bootstrap, seed)
    drawn_RE = numpy_generator("bootstrap over repeats", seed).integers(
        means_RE.shape[1], size=means_RE.shape
    )
    means = np.take_along_axis(means_RE, drawn_RE, axis=1).mean(axis=1)
    return _interval(float(means_UE.mean()), means, len(means_UE))


def _check_units(num_units: int) -> None:
    if not num_units:
        raise DataError("bootstrap: got scores of no unit; must be at least one")


def _resampled_means(scores: np.ndarray, num_bootstrap: int, seed: int) -> np.ndarray:
    """Returns the (R,) or (R, K) means over the units of each resample of (U,) or (U, K) scores."""
    rng = numpy_generator(_STREAM, seed)
    num_units = len(scores)
    means = np.empty((num_bootstrap, *scores.shape[1:]))
    rows = max(1, _DRAWS_AT_A_TIME // scores.size)
    for start in range(0, num_bootstrap, rows):
        part = means[start : start + rows]
        part[:] = scores[rng.integers(num_units, size=(len(part), num_units))].mean(axis=1)
    return means


def _interval(value: float, resampled: np.ndarray, num_units: int) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    # all resamples may lie on one side of the value: if there are few, or by rounding
    return Interval(value, min(float(low), value), max(float(high), value), num_units)
