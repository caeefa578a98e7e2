"""Features brought to mean 0 and deviation 1.

Legend: N images, F features.
"""

import numpy as np

_SMALLEST_DEVIATION = 1e-6


class Standardiser:
    """Brings features to mean 0 and deviation 1, by the statistics of the training features.

    Args:
        train_features: (N, F).
    """

    def __init__(self, train_features: np.ndarray) -> None:
        self.mean = train_features.mean(axis=0, dtype=np.float64).astype(np.float32)
        deviation = train_features.std(axis=0, dtype=np.float64)
        # a feature that is constant stays zero, instead of rounding errors blown up to deviation 1
        deviation[deviation < _SMALLEST_DEVIATION] = 1.0
        self.deviation = deviation.astype(np.float32)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Maps (N, F) to (N, F) float32."""
        return (features - self.mean) / self.deviation
