"""The projection head of the contrastive losses: three layers with BatchNorm, of two kinds.

Legend: N views of a batch, F features, D dimensions.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.errors import ConfigError
from stablerep.nearest_name import must_be_one_of

HEAD_KINDS = ("stablerep", "moco_v3")
BATCH_NORMS = ("global", "per_view")


class ProjectionHead(nn.Module):
    """Linear, BatchNorm and ReLU twice, then a last layer.

    In `stablerep` the last layer is linear, nothing follows it, and every linear layer has a bias (the
    authors' code of arXiv:2306.00984). `moco_v3` ends in a linear layer and a BatchNorm without affine, which
    gives each dimension mean 0 and deviation 1 over the batch, and no linear layer has a bias
    (arXiv:2104.02057 and its code).

    BatchNorm runs over the whole batch (`global`), or as in the authors' code over each slice apart
    (`per_view`): the first images of all captions, the second ones, and so on. Apart, the statistics of a
    slice say nothing of which images share a caption.

    Args:
        features: F.
        hidden: width of the two inner layers.
        out: D.
        kind: one of `HEAD_KINDS`.
        batch_norm: one of `BATCH_NORMS`.
    """

    def __init__(
        self, features: int, hidden: int, out: int, kind: str = "moco_v3", batch_norm: str = "global"
    ) -> None:
        """Builds it; raises ConfigError for an unknown kind, of head or of BatchNorm."""
        super().__init__()
        for key, given, known in (("kind", kind, HEAD_KINDS), ("batch_norm", batch_norm, BATCH_NORMS)):
            if given not in known:
                raise ConfigError(
                    f"encoder.head.{key}: got {given!r}; {must_be_one_of(given, known)} "
                    "Set it in conf/params/encoder/<name>.yaml."
                )
        self.batch_norm = batch_norm
        with_bias = kind == "stablerep"
        layers: list[nn.Module] = []
        for width, next_width in pairwise((features, hidden, hidden)):
            layers += [nn.Linear(width, next_width, bias=with_bias), nn.BatchNorm1d(next_width)]
            layers += [nn.ReLU(inplace=True)]
        layers.append(nn.Linear(hidden, out, bias=with_bias))
        if kind == "moco_v3":
            layers.append(nn.BatchNorm1d(out, affine=False))
        self.layers = nn.Sequential(*layers)

    def forward(self, features_NF: Tensor, slice_N: Tensor, num_slices: int) -> Tensor:
        """Embeds a batch.

        Args:
            features_NF: of the encoder.
            slice_N: int64, the slice that each row belongs to; read for `per_view` alone, like `num_slices`.
            num_slices: of equal numbers of rows.

        Returns:
            (N, D) of unit length, float32.
        """
        if self.batch_norm == "global":
            z_ND = self.layers(features_NF)
        else:
            order_N = torch.argsort(slice_N, stable=True)
            parts = [self.layers(part) for part in features_NF[order_N].chunk(num_slices)]
            z_ND = torch.cat(parts)[torch.argsort(order_N)]
        return F.normalize(z_ND.float(), dim=1)
