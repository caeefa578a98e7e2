"""Calibration of the linear probe: is it right as often as its confidence says?

The probe is that of `linear_probe`. Its probabilities are measured as they are, and again with logits divided
by a temperature chosen on the validation images (C. Guo et al., On calibration of modern neural
networks, arXiv:1706.04599, sections 2 and 4.2); this changes neither predictions nor accuracy.

    calibration error = sum_b | mean over images of 1[image in bin b] (1[correct] - confidence) |

is their expected calibration error, with M bins of equal width of the confidence, which is the probability
of the predicted class. Its means are over units, as those of every metric. It is biased upwards if bins
have few images: compare only values of one test set. The negative log likelihood is in nats per image.
Legend: N images, F features, K classes, M bins.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from stablerep.evaluation.evaluation import Choice, Measured
from stablerep.evaluation.linear_probe import LinearProbe, LinearProbeSettings, standardised
from stablerep.evaluation.subject import Prompts, Split, Unlabelled

_LOG_TEMPERATURES = (-6.0, 6.0)  # 0.002 to 403; a perfect probe has no optimum
_LEAST = float(np.log(np.finfo(np.float64).tiny))  # nats; for a class that the train images lack


class CalibrationSettings(LinearProbeSettings):
    """Settings of the calibration: those of the probe, and the number of bins."""

    section: ClassVar[str] = "evaluation.calibration"

    num_bins: int = Field(default=15, ge=2, description="M; arXiv:1706.04599 uses 15")


_DEFAULT = CalibrationSettings()


def log_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Returns (N, K) float64 in nats: the log-softmax of (N, K) logits over the temperature."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    return np.maximum(scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)), _LEAST)


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float) -> np.ndarray:
    """Returns (N,) nats: minus the log-probability of the (N,) right classes."""
    return -log_probabilities(logits, temperature)[np.arange(len(labels)), labels]


def gaps_by_bin(logits: np.ndarray, labels: np.ndarray, temperature: float, num_bins: int) -> np.ndarray:
    """Returns (N, M): correct less confidence, in the image's bin; the other bins are 0.

    The sum over bins of the absolute mean over images is the expected calibration error.
    """
    probabilities = np.exp(log_probabilities(logits, temperature))
    confidence = probabilities.max(axis=1)
    bins = np.minimum((confidence * num_bins).astype(np.int64), num_bins - 1)
    gaps = np.zeros((len(labels), num_bins))
    gaps[np.arange(len(labels)), bins] = (probabilities.argmax(axis=1) == labels) - confidence
    return gaps


def calibration_error(means: np.ndarray) -> np.ndarray:
    """Maps (..., M) means of the gaps to (...) calibration errors in [0, 1]."""
    return np.abs(means).sum(axis=-1)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature at which (N, K) logits give (N,) labels the highest likelihood."""
    from scipy.optimize import minimize_scalar

    # the likelihood is concave in 1 / T, so it has one maximum in log T
    found = minimize_scalar(
        lambda log: negative_log_likelihood(logits, labels, float(np.exp(log))).mean(),
        bounds=_LOG_TEMPERATURES,
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


class Calibration(LinearProbe):
    """Calibration error and negative log likelihood of the linear probe.

    Args:
        inverse_strengths: see `LinearProbeSettings`.
        tolerance: likewise.
        num_bins: see `CalibrationSettings`.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "calibration"
    version = 1
    ranks_encoders = False

    def __init__(
        self,
        inverse_strengths: Sequence[float] = _DEFAULT.inverse_strengths,
        tolerance: float = _DEFAULT.tolerance,
        num_bins: int = _DEFAULT.num_bins,
    ) -> None:
        given = CalibrationSettings(
            inverse_strengths=tuple(inverse_strengths), tolerance=tolerance, num_bins=num_bins
        )
        self.settings, self._num_bins = given, given.num_bins

    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Fits the probes as `linear_probe` does, then the temperature of each on the validation images.

        Raises:
            DataError: the train images of a task are all of one class.
        """
        choices = super().choose(train, validation, prompts)
        for task, predicted in self.score(choices, validation.unlabelled()).items():
            known = validation.known(task)
            logits, labels = predicted[known], validation.labels[task][known]
            gaps = gaps_by_bin(logits, labels, 1.0, self._num_bins)
            choices[task] = Choice(
                float(calibration_error(gaps.mean(axis=0))),
                {**choices[task].chosen, "temperature": fit_temperature(logits, labels)},
                choices[task].state,
            )
        return choices

    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        """Returns by task (N, K) float32 logits of all classes; -inf of those that the train images lack."""
        found = {}
        for task, classifier, features in standardised(choices, images):
            num_classes = len(images.tasks[task])
            found[task] = np.full((len(features), num_classes), -np.inf, np.float32)
            found[task][:, classifier.classes] = classifier.logits(features)
        return found

    def measure(self, choice: Choice, predicted: np.ndarray, right: np.ndarray) -> dict[str, Measured]:
        """Returns both metrics, as the probe is and with the temperature."""
        temperatures = {"": 1.0, "_after_scaling": float(choice.chosen["temperature"])}
        errors = {
            f"calibration_error{after}": Measured(
                gaps_by_bin(predicted, right, temperature, self._num_bins), calibration_error
            )
            for after, temperature in temperatures.items()
        }
        likelihoods = {
            f"nll{after}": Measured(negative_log_likelihood(predicted, right, temperature))
            for after, temperature in temperatures.items()
        }
        return errors | likelihoods
