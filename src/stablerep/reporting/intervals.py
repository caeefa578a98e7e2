"""Intervals over units and seeds, for arms and for differences between arms.

An arm that was trained with S seeds and tested on U units has a score for each seed and unit. Both are
samples: other seeds would give other encoders, other units other images. The scores are those of two crossed
random factors,

    score[s, u] = m + a_s + b_u + e_su,    Var(mean) = Var(a) / S + Var(b) / U + Var(e) / (S U)

With several seeds, the variance of the mean is estimated in two parts. V_units = var(unit means) / U holds
the rest as well; V_seeds = var(seed means) / S - (mean square of the rest) / (S U), and 0 where that is
below 0, is what seeds add to it. Each part has its own t distribution, and their half-widths are added as
variances are:

    mean +- sqrt[ t(0.975, U - 1)^2 V_units + t(0.975, f)^2 V_seeds ],    f = S - 1

Two or three seeds say little about V_seeds, so the interval is wide: t is 12.7 for two seeds and 4.3 for
three. Resampling seeds has no such factor, and its intervals cover too rarely: S draws with replacement show
(S - 1) / S of the variance. One t for both parts, with f by Satterthwaite, covers 87 % instead of 95 % if
there are two seeds that make most of the variance (docs/experiments.md).

For the difference of two arms the units' part comes from the differences on each unit, as both were tested on
the same images. The seeds' parts of both arms are added, as equal seeds do not make two methods alike; f is
then Satterthwaite's, (v_1 + v_2)^2 / (v_1^2 / f_1 + v_2^2 / f_2) with v = var(seed means) / S of each arm.
An arm with one seed has no such part: if the other arm has several, the arm counts as fixed.

With one seed on each side nothing is known about seeds. The interval then has the percentiles over resampled
units, with the same resamples for both arms.

Sources: R. K. Burdick and F. A. Graybill, Confidence Intervals on Variance Components, 1992, chapter 6 (two
crossed factors, mean squares); G. Y. Zou and A. Donner, Statistics in Medicine 27, 2008 (half-widths of
parts added as variances are); F. E. Satterthwaite, Biometrics Bulletin 2(6), 1946 (f). A simulation tests
how often the intervals cover (tests/stablerep/reporting/test_intervals.py).

Legend: L lines, each an arm with a seed; U units, R resamples, S seeds of an arm.
"""

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Variance:
    """An estimate of the variance of a mean or of a difference of means, in its two parts.

    Attributes:
        units: V_units.
        units_degrees: U - 1.
        seeds: V_seeds; 0 if all arms have one seed.
        seeds_degrees: f; 0 if all arms have one seed.
    """

    units: float
    units_degrees: float
    seeds: float
    seeds_degrees: float

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval."""
        from scipy.stats import t

        parts = ((self.units, self.units_degrees), (self.seeds, self.seeds_degrees))
        wide = sum(float(t.ppf((1 + LEVEL) / 2, degrees)) ** 2 * part for part, degrees in parts if part)
        return math.sqrt(wide)


def variance_of(*arms_SU: Floats) -> Variance:
    """Estimates the variance of the mean of one arm, or of the difference of two.

    Args:
        *arms_SU: one or two arms, each (S, U) scores on the same units; the second is subtracted. With one
            unit, nothing is known of the units' part, and it counts as 0.
    """
    num_units = arms_SU[0].shape[1]
    first_U, *others_U = (scores_SU.mean(axis=0) for scores_SU in arms_SU)
    units = float(np.var(first_U - sum(others_U), ddof=1)) / num_units if num_units > 1 else 0.0
    seeds, of_arms = 0.0, []
    for scores_SU in arms_SU:
        num_seeds = len(scores_SU)
        if num_seeds > 1:
            of_seeds = float(scores_SU.mean(axis=1).var(ddof=1)) / num_seeds
            seeds += of_seeds - _mean_square_of_rest(scores_SU) / (num_seeds * num_units)
            of_arms.append((of_seeds, num_seeds - 1))
    spread = sum(part**2 / degrees for part, degrees in of_arms)
    degrees = sum(part for part, _ in of_arms) ** 2 / spread if spread else 0.0
    return Variance(units, num_units - 1, max(seeds, 0.0), degrees)


def _mean_square_of_rest(scores_SU: Floats) -> float:
    """Returns what neither seeds nor units explain of (S, U) scores; 0 with one unit."""
    num_seeds, num_units = scores_SU.shape
    rest_SU = scores_SU - scores_SU.mean(axis=0) - scores_SU.mean(axis=1, keepdims=True) + scores_SU.mean()
    return float((rest_SU**2).sum()) / ((num_seeds - 1) * max(num_units - 1, 1))


class Resampled:
    """The arms of one evaluation on the same units, with their intervals.

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
        self._scores_LU = table.to_numpy(np.float64)
        self._means_RL = resample_units(self._scores_LU, num_bootstrap, seed)
        self._are_shares = bool((self._scores_LU >= 0).all() and (self._scores_LU <= 1).all())
        arms = table.index.get_level_values("arm")
        self._lines = {str(arm): np.flatnonzero(arms == arm) for arm in arms.unique()}

    def __contains__(self, arm: str) -> bool:
        """Whether the arm has scores."""
        return arm in self._lines

    def num_seeds(self, arm: str) -> int:
        """Returns S of an arm."""
        return len(self._lines[arm])

    def interval(self, arm: str) -> Interval:
        """Returns an arm's mean over seeds and units with its interval."""
        return self._interval(arm)

    def difference(self, arm: str, other: str) -> Interval | None:
        """Returns how much higher the arm scores than the other; None where one of them has no scores."""
        if arm not in self or other not in self:
            return None
        return self._interval(arm, other)

    def variance(self, *arms: str) -> Variance:
        """Returns the parts of the variance of an arm's mean, or of the difference of two arms."""
        return variance_of(*(self._scores_LU[self._lines[arm]] for arm in arms))

    def _interval(self, *arms: str) -> Interval:
        values = [float(self._scores_LU[self._lines[arm]].mean()) for arm in arms]
        value = values[0] - sum(values[1:])
        if all(self.num_seeds(arm) == 1 for arm in arms):
            return self._percentiles(value, *arms)
        half = self.variance(*arms).half_width
        low, high = value - half, value + half
        if self._are_shares:
            low, high = max(low, 1.0 - len(arms)), min(high, 1.0)
        return Interval(value, low, high, self._scores_LU.shape[1])

    def _percentiles(self, value: float, *arms: str) -> Interval:
        first_R, *others = (self._means_RL[:, self._lines[arm][0]] for arm in arms)
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(first_R - sum(others), [tail, 1 - tail])
        # of equal scores, resampled means differ from the mean by rounding
        return Interval(value, min(float(low), value), max(float(high), value), self._scores_LU.shape[1])
