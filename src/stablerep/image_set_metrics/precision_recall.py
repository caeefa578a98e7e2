"""Precision and recall of generated images (T. Kynkaanniemi et al., arXiv:1904.06991), by torch-fidelity.

Precision: the share of images inside the reference's manifold, which is the union of balls around its images,
each of which reaches the k-th nearest neighbour. Recall: the share of the reference inside the set's.
"""

from typing import ClassVar

import numpy as np
import torch
from pydantic import Field

from stablerep.image_set_metrics.metric import FeatureDistance
from stablerep.settings import Settings

_BLOCK = 1024  # images whose distances to all others are held at once


class PrecisionRecallSettings(Settings):
    """Settings of precision and recall."""

    section: ClassVar[str] = "set_metrics.precision_recall"

    num_neighbours: int = Field(3, ge=1, description="k; the paper's")


class PrecisionRecall(FeatureDistance):
    """Precision (are images like real ones?) and recall (are all real ones covered?).

    Args:
        num_neighbours: see `PrecisionRecallSettings`.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "precision_recall"
    version = 1

    def __init__(self, num_neighbours: int = 3) -> None:
        self.settings = PrecisionRecallSettings(num_neighbours=num_neighbours)

    def min_images(self, num_features: int) -> int:
        """Returns one more than the neighbours."""
        del num_features
        return self.settings.num_neighbours + 1

    def values(self, features_NF: np.ndarray, reference_MF: np.ndarray, seed: int) -> dict[str, float]:
        """Returns `precision` and `recall`, in [0, 1]."""
        from torch_fidelity.metric_prc import calculate_precision_recall_part

        del seed
        precision, recall = calculate_precision_recall_part(
            torch.from_numpy(features_NF),
            torch.from_numpy(reference_MF),
            self.settings.num_neighbours,
            _BLOCK,
        )
        return {"precision": precision, "recall": recall}
