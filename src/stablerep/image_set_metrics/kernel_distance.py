"""Kernel distance, KID: the unbiased squared MMD of a cubic kernel (M. Binkowski et al., arXiv:1801.01401).

By torch-fidelity: the mean over random subsets of equal size. Unlike the Frechet distance it is not
larger with fewer images; for equal distributions it is 0 on average and can be negative.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from stablerep.image_set_metrics.metric import FeatureDistance
from stablerep.settings import Settings


class SubsetSettings(Settings):
    """The subsets whose mean is taken."""

    section: ClassVar[str] = "set_metrics.kernel_distance"

    num_subsets: int = Field(10, ge=1, description="random ones; the paper's code takes 100")
    subset_size: int = Field(
        1000, ge=2, description="images of each side in a subset, at most; the paper's code takes 1,000"
    )


class KernelDistance(FeatureDistance):
    """Kernel distance.

    Args:
        num_subsets: see `SubsetSettings`.
        subset_size: likewise.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "kernel_distance"
    version = 1

    def __init__(self, num_subsets: int = 10, subset_size: int = 1000) -> None:
        self.settings = SubsetSettings(num_subsets=num_subsets, subset_size=subset_size)

    def values(self, features_NF: np.ndarray, reference_MF: np.ndarray, seed: int) -> dict[str, float]:
        """Returns `kernel_distance`."""
        return {self.name: squared_mmd(features_NF, reference_MF, self.settings, seed, kid_kernel="poly")}


def squared_mmd(
    features_NF: np.ndarray, reference_MF: np.ndarray, settings: SubsetSettings, seed: int, **kernel: Any
) -> float:
    """Returns the mean of the unbiased squared MMD over subsets; only one if it has all images.

    Args:
        features_NF: float64.
        reference_MF: float64.
        settings: of the subsets, which have at most as many images as the smaller side.
        seed: of the subsets.
        **kernel: torch-fidelity's arguments of the kernel.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    size = min(settings.subset_size, len(features_NF), len(reference_MF))
    is_whole = size == len(features_NF) == len(reference_MF)
    found = kid_features_to_metric(
        torch.from_numpy(features_NF),
        torch.from_numpy(reference_MF),
        kid_subsets=1 if is_whole else settings.num_subsets,
        kid_subset_size=size,
        rng_seed=seed % 2**32,  # of numpy's older generators
        verbose=False,
        **kernel,
    )
    return float(found[KEY_METRIC_KID_MEAN])
