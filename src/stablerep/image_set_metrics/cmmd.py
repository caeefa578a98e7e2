"""CMMD: 1,000 times the squared MMD of a Gaussian kernel on embeddings of length 1 (arXiv:2401.09603).

The paper uses CLIP ViT-L/14 at 336 px as extractor; the authors' code has an estimator that its diagonal
biases. Here the extractor is the configured one, which is named beside the value, and the estimator is the
unbiased one of the paper's equation 4, by torch-fidelity: 0 on average for equal distributions.
"""

from typing import ClassVar

import numpy as np
from pydantic import Field

from stablerep.image_set_metrics.kernel_distance import SubsetSettings, squared_mmd
from stablerep.image_set_metrics.metric import FeatureDistance

_SCALE = 1000  # of the authors' code


class CmmdSettings(SubsetSettings):
    """Settings of CMMD."""

    section: ClassVar[str] = "set_metrics.cmmd"

    bandwidth: float = Field(
        10.0, gt=0, description="sigma of the kernel exp(-|x - y|^2 / (2 sigma^2)); the paper's"
    )


class Cmmd(FeatureDistance):
    """CMMD.

    Args:
        bandwidth: see `CmmdSettings`.
        num_subsets: likewise.
        subset_size: likewise.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "cmmd"
    version = 1

    def __init__(self, bandwidth: float = 10.0, num_subsets: int = 10, subset_size: int = 1000) -> None:
        self.settings = CmmdSettings(bandwidth=bandwidth, num_subsets=num_subsets, subset_size=subset_size)

    def values(self, features_NF: np.ndarray, reference_MF: np.ndarray, seed: int) -> dict[str, float]:
        """Returns `cmmd`."""
        value = squared_mmd(
            _unit(features_NF),
            _unit(reference_MF),
            self.settings,
            seed,
            kid_kernel="rbf",
            kid_kernel_rbf_sigma=self.settings.bandwidth,
        )
        return {self.name: _SCALE * value}


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(float).tiny)
