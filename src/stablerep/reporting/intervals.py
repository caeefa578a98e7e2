"""Percentile intervals over units and seeds, of arms and of differences between arms.

An arm that was trained with S seeds and tested on U units has a score for each seed and unit. Both are
samples: other seeds would give other encoders, other units other images. So both are resampled with
replacement, independently. Of R resamples, number r draws seeds s_1 .. s_S and units u_1 .. u_U; its mean is

    m_r = 1 / (S U)  sum over i, j of  score[s_i, u_j]

The interval reaches from the 2.5 % to the 97.5 % percentile of the R means. For the difference of two arms,
the units of a resample are the same for both, as both were tested on the same images; the seeds of each arm
are drawn separately, as equal seeds do not make two methods alike. With one seed this is the percentile
interval over units.

Source: A. B. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1(2), 2007 (two crossed factors).
With two or three seeds such an interval tends to be too narrow: S draws show (S - 1) / S of the variance.

Legend: L lines, each an arm with a seed; U units, R resamples, S seeds of an arm.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from stablerep.errors import DataError
from stablerep.evaluation.bootstrap import LEVEL, Interval
from stablerep.seeding import numpy_generator

Floats = npt.NDArray[np.float64]


def resample_units(scores_LU: Floats, num_bootstrap: int, seed: int) -> Floats:
    """Returns (R, L): each line's mean score over the units of each resample.

    Args:
        scores_LU: (L, U).
        num_bootstrap: R.
        seed: decides the resamples, which are the same for all lines.
    """
    rng = numpy_generator("bootstrap over units", seed)
    num_units = scores_LU.shape[1]
    means_RL = np.empty((num_bootstrap, len(scores_LU)))
    for resample in range(num_bootstrap):
        counts = np.bincount(rng.integers(num_units, size=num_units), minlength=num_units)
        means_RL[resample] = scores_LU @ counts / num_units
    return means_RL


class Resampled:
    """The arms of one evaluation over the same resamples of units.

    Args:
        scores: `arm`, `seed`, `unit`, `score`; of one evaluation set, task and evaluation.
        num_bootstrap: R.
        seed: decides the resamples.

    Raises:
        DataError: a unit has two scores of an arm and seed, or arms were tested on different units.
    """

    def __init__(self, scores: pd.DataFrame, num_bootstrap: int, seed: int) -> None:
        """Resamples the units."""
        twice = int(scores.duplicated(["arm", "seed", "unit"]).sum())
        if twice:
            raise DataError(
                f"unit scores: {twice} units have two scores of the same arm and seed; each must have one. "
                "Run the evaluation again."
            )
        table = scores.pivot(index=["arm", "seed"], columns="unit", values="score")
        if table.isna().any(axis=None):
            apart = int(table.isna().any(axis=0).sum())
            raise DataError(
                f"unit scores: {apart} units were tested with only some of the arms and seeds; all must be "
                "tested on the same units. Run the evaluation again."
            )
        self._scores = table
        self._means_RL = resample_units(table.to_numpy(np.float64), num_bootstrap, seed)
        self._seed = seed
        self._lines = {
            str(arm): np.flatnonzero(table.index.get_level_values("arm") == arm)
            for arm in table.index.get_level_values("arm").unique()
        }

    def __contains__(self, arm: str) -> bool:
        """Whether the arm has scores."""
        return arm in self._lines

    def interval(self, arm: str) -> Interval:
        """Returns an arm's mean over seeds and units with its interval."""
        return self._interval(self._mean(arm), self._means_of(arm))

    def difference(self, arm: str, other: str) -> Interval | None:
        """Returns how much higher the arm scores than the other; None where one of them has no scores."""
        if arm not in self or other not in self:
            return None
        return self._interval(
            self._mean(arm) - self._mean(other), self._means_of(arm) - self._means_of(other)
        )

    def _mean(self, arm: str) -> float:
        return float(self._scores.to_numpy(np.float64)[self._lines[arm]].mean())

    def _means_of(self, arm: str) -> Floats:
        of_arm_RS = self._means_RL[:, self._lines[arm]]
        rng = numpy_generator("bootstrap over seeds", self._seed, arm)
        draws_RS = rng.integers(of_arm_RS.shape[1], size=of_arm_RS.shape)
        means: Floats = np.take_along_axis(of_arm_RS, draws_RS, axis=1).mean(axis=1)
        return means

    def _interval(self, value: float, means_R: Floats) -> Interval:
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(means_R, [tail, 1 - tail])
        # of equal scores, resampled means differ from the mean by rounding
        return Interval(value, min(float(low), value), max(float(high), value), self._scores.shape[1])
