r"""Density and coverage (M. F. Naeem et al., arXiv:2002.09797, equations 6 and 7).

With r_j the distance from reference image y_j to its k-th nearest other reference image,

    density  = 1 / (k N) sum_i sum_j 1[ |x_i - y_j| <= r_j ]
    coverage = 1 / M     sum_j max_i 1[ |x_i - y_j| <= r_j ].

Both are near 1 for images of the reference's distribution; unlike precision and recall, they are not
sensitive to outliers of the reference. No maintained library has them: the authors' own, prdc, is of 2020.
Distances are computed one block at a time.
Legend: N images, M of the reference, F features, B a block of the reference.
"""

from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from stablerep.image_set_metrics.metric import FeatureDistance
from stablerep.settings import Settings

_BLOCK = 1024


class DensityCoverageSettings(Settings):
    """Settings of density and coverage."""

    section: ClassVar[str] = "set_metrics.density_coverage"

    num_neighbours: int = Field(5, ge=1, description="k; the paper's")


class DensityCoverage(FeatureDistance):
    """Density (how dense is the reference around images?) and coverage (how much of it is near an image?).

    Args:
        num_neighbours: see `DensityCoverageSettings`.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "density_coverage"
    version = 1

    def __init__(self, num_neighbours: int = 5) -> None:
        self.settings = DensityCoverageSettings(num_neighbours=num_neighbours)

    def min_images(self, num_features: int) -> int:
        """Returns one more than the neighbours."""
        del num_features
        return self.settings.num_neighbours + 1

    def values(self, features_NF: np.ndarray, reference_MF: np.ndarray, seed: int) -> dict[str, float]:
        """Returns `density`, >= 0, and `coverage`, in [0, 1]."""
        del seed
        images, reference = torch.from_numpy(features_NF), torch.from_numpy(reference_MF)
        num_inside, num_covered = 0, 0
        for block_BF in reference.split(_BLOCK):
            radii_B = _radii(block_BF, reference, self.settings.num_neighbours)
            inside_BN = torch.cdist(block_BF, images) <= radii_B[:, None]
            num_inside += int(inside_BN.sum())
            num_covered += int(inside_BN.any(dim=1).sum())
        density = num_inside / (self.settings.num_neighbours * len(images))
        return {"density": density, "coverage": num_covered / len(reference)}


def _radii(block_BF: Tensor, reference: Tensor, num_neighbours: int) -> Tensor:
    """Returns (B,) distances to the k-th nearest other image; the nearest of all is the image itself."""
    return torch.cdist(block_BF, reference).kthvalue(num_neighbours + 1, dim=1).values
