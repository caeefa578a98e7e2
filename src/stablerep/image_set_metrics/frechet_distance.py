"""Frechet distance between Gaussians fitted to features (M. Heusel et al., arXiv:1706.08500).

By torch-fidelity. With Inception's features it is FID. It is biased: fewer images, a larger distance. So
compare only values of equal numbers of images, which the table has beside them.
"""

import numpy as np
import torch

from stablerep.image_set_metrics.metric import FeatureDistance


class FrechetDistance(FeatureDistance):
    """Frechet distance; of sets with more images than features, as else a covariance has no full rank."""

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
