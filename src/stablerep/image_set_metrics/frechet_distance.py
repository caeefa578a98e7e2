"""Frechet distance between Gaussians fitted to features (M. Heusel et al., arXiv:1706.08500).

By torch-fidelity. With Inception's features it is FID. It is biased: with fewer images it is larger. So
compare only values of equally many images; the table has the numbers.
"""

import numpy as np
import torch

from stablerep.image_set_metrics.metric import FeatureDistance


class FrechetDistance(FeatureDistance):
    """Frechet distance; needs more images than features, or else a covariance would not have full rank."""

    name = "frechet_distance"
    version = 1

    def min_images(self, num_features: int) -> int:
        """Returns one more than the features."""
        return num_features + 1

    def values(self, features_NF: np.ndarray, reference_MF: np.ndarray, seed: int) -> dict[str, float]:
        """Returns `frechet_distance`, >= 0 but for rounding."""
        from torch_fidelity.metric_fid import (
            KEY_METRIC_FID,
            fid_features_to_statistics,
            fid_statistics_to_metric,
        )

        del seed
        both = (fid_features_to_statistics(torch.from_numpy(each)) for each in (features_NF, reference_MF))
        return {self.name: float(fid_statistics_to_metric(*both, verbose=False)[KEY_METRIC_FID])}
