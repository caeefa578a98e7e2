"""Where accuracy over the guidance scale is highest, with an interval that reflects the study's noise.

A Gaussian process over x = log(scale), fitted to all trials at once:

    y_t = m + f(x_t) + b_s(t) + e_t + u_t

with f a Gaussian process with the Matern 5/2 kernel of amplitude a and length l, the curve; b ~ N(0, beta^2)
what a seed adds at every scale (all scales of a seed share weights and order, so it cancels from their
comparison); e ~ N(0, sigma^2) the noise of a trial; and u ~ N(0, C) that the validation images are a sample.
C is the covariance, over units, of the scales' scores (averaged over seeds) divided by the number of units,
less what seeds change in a unit's score, which is in e already. Posterior: C. E. Rasmussen and C. Williams,
Gaussian Processes for Machine Learning, 2006, equations 2.25 and 2.26; the kernel is equation 4.17. l, a,
beta and sigma are not chosen but averaged over: a grid with equal weight before the data, each point weighted
by its marginal likelihood (equation 5.8).

The interval is that of the place of the maximum over 2,000 curves from this posterior: their 2.5 and 97.5 per
cent quantiles. A simulation tests how often it covers (tests/stablerep/tuning/test_optimum.py). It does not
cover another noise of the images, which is the same for all scales and seeds, other captions, or longer
training.

Legend: T trials, H points of the grid of l, a, beta and sigma, G scales of the curve, S curves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from stablerep.seeding import numpy_generator

LEVEL = 0.95
_NUM_CURVES = 2000
_NUM_SCALES = 61
_PRIOR_STD = 1.0  # of m: accuracies are in [0, 1]
_LENGTHS = (0.2, 0.35, 0.6, 1.0, 1.7)  # of l, in shares of the range of x
_AMPLITUDES = np.geomspace(0.004, 0.5, 7)  # of a
_NOISES = np.geomspace(0.001, 0.08, 7)  # of sigma
_OF_SEEDS = (0.0, 0.005, 0.02, 0.1)  # of beta
_JITTER = 1e-9


@dataclass(frozen=True)
class Observations:
    """The complete trials of a study.

    Attributes:
        scales: (T,) guidance scales, > 0.
        seeds: (T,) of their training.
        unit_scores: (T, U) mean score of each unit of the validation images, in [0, 1].
    """

    scales: np.ndarray
    seeds: np.ndarray
    unit_scores: np.ndarray

    def covariance_of_units(self) -> np.ndarray:
        """Returns C (T, T), positive semidefinite; zeros where there is one unit."""
        num_units = self.unit_scores.shape[1]
        if num_units < 2:
            return np.zeros((len(self.scales),) * 2)
        scales, at = np.unique(self.scales, return_inverse=True)
        groups = [self.unit_scores[at == index] for index in range(len(scales))]
        covariance = np.atleast_2d(np.cov([each.mean(axis=0) for each in groups]))
        of_seeds = [each.var(axis=0, ddof=1).mean() / len(each) if len(each) > 1 else 0.0 for each in groups]
        values, vectors = np.linalg.eigh(covariance - np.diag(of_seeds))
        repaired = (vectors * np.clip(values, 0, None)) @ vectors.T
        return np.asarray(repaired / num_units)[np.ix_(at, at)]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        """Tells whether the interval has a value."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Optimum:
    """What the trials say of the guidance scale.

    Attributes:
        scale: highest point of the mean curve, with the interval of the place of the maximum.
        scales: (G,) of the curves.
        curves: (S, G) accuracies over them, drawn from the posterior.
    """

    scale: Estimate
    scales: np.ndarray
    curves: np.ndarray

    def accuracy_at(self, scale: float) -> Estimate:
        """Returns the accuracy at a scale of the range, over seeds and units."""
        return _estimate(self._at(scale))

    def loss_at(self, scale: float) -> Estimate:
        """Returns how much lower accuracy is at a scale than at the recommended one."""
        return _estimate(self._at(self.scale.value) - self._at(scale))

    def band(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns mean, lower and upper end of the 95 % band, each (G,); pointwise."""
        low, high = np.quantile(self.curves, _TAILS, axis=0)
        return self.curves.mean(axis=0), low, high

    def _at(self, scale: float) -> np.ndarray:
        x = np.log(self.scales)
        return np.array([np.interp(np.log(scale), x, curve) for curve in self.curves])


_TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


def find_optimum(trials: Observations, low: float, high: float, seed: int) -> Optimum:
    """Fits the curve and finds its maximum; formulas and sources are those of the module.

    Args:
        trials: of two seeds or more, or the noise of a trial cannot be told from the curve.
        low: lowest scale of the range, > 0.
        high: highest one.
        seed: decides the curves that are drawn.
    """
    scales = np.geomspace(low, high, _NUM_SCALES)
    x, y = np.log(trials.scales), trials.unit_scores.mean(axis=1)
    span = max(np.log(high / low), 0.1)
    grid = product(_LENGTHS, _AMPLITUDES, _NOISES, _OF_SEEDS)
    lengths, amplitudes, noises, of_seeds = (np.array(each) for each in zip(*grid, strict=True))
    noise = _noise(trials, noises, of_seeds)
    at = np.concatenate([x, np.log(scales)])
    kernel = _kernel(at, lengths * span, amplitudes)
    num = len(x)
    factor = np.linalg.cholesky(kernel[:, :num, :num] + noise)
    centred = y - y.mean()
    whitened = np.linalg.solve(factor, np.broadcast_to(centred, (len(factor), num))[..., None])[..., 0]
    log_evidence = -0.5 * (whitened**2).sum(axis=1) - np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(
        axis=1
    )
    rng = numpy_generator("guidance curves", seed)
    drawn = _draw_points(np.exp(log_evidence - log_evidence.max()), rng)
    curves = [
        _curves(kernel[point], factor[point], whitened[point], count, rng)
        for point, count in zip(*drawn, strict=True)
    ]
    found = np.concatenate(curves) + y.mean()
    places = scales[found.argmax(axis=1)]
    best = float(scales[found.mean(axis=0).argmax()])
    ends = np.quantile(places, _TAILS)
    estimate = Estimate(best, min(float(ends[0]), best), max(float(ends[1]), best))
    return Optimum(estimate, scales, found)


def _kernel(x: np.ndarray, lengths: np.ndarray, amplitudes: np.ndarray) -> np.ndarray:
    """Returns the covariance (H, len(x), len(x)) of m + f."""
    away = np.sqrt(5) * np.abs(x[:, None] - x[None, :]) / lengths[:, None, None]
    curve = amplitudes[:, None, None] ** 2 * (1 + away + away**2 / 3) * np.exp(-away)
    return np.asarray(curve + _PRIOR_STD**2)


def _noise(trials: Observations, noises: np.ndarray, of_seeds: np.ndarray) -> np.ndarray:
    """Returns the covariance (H, T, T) of everything but the curve."""
    same_seed = (trials.seeds[:, None] == trials.seeds[None, :]).astype(float)
    single = np.eye(len(trials.seeds))
    parts = noises[:, None, None] ** 2 * single + of_seeds[:, None, None] ** 2 * same_seed
    return parts + trials.covariance_of_units() + _JITTER * single


def _draw_points(weights: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws points of the grid by weight; returns those that were drawn, and how often."""
    counts = rng.multinomial(_NUM_CURVES, weights / weights.sum())
    drawn = np.flatnonzero(counts)
    return drawn, counts[drawn]


def _curves(
    kernel: np.ndarray, factor: np.ndarray, whitened: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws curves (count, G) from the posterior at one point of the grid."""
    num = len(whitened)
    across = np.linalg.solve(factor, kernel[:num, num:])
    covariance = kernel[num:, num:] - across.T @ across
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    normal = rng.standard_normal((count, len(values)))
    return np.asarray(across.T @ whitened + normal @ root.T)


def _estimate(draws: np.ndarray) -> Estimate:
    low, high = np.quantile(draws, _TAILS)
    return Estimate(float(draws.mean()), float(low), float(high))


def front(accuracies: Sequence[float], costs: Sequence[float]) -> list[bool]:
    """Returns for each point whether it is on the Pareto front of accuracy and cost.

    Args:
        accuracies: higher is better.
        costs: lower is better.
    """
    points = list(zip(accuracies, costs, strict=True))
    return [
        not any(a >= accuracy and c <= cost and (a > accuracy or c < cost) for a, c in points)
        for accuracy, cost in points
    ]
