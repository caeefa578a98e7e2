"""The projection head of the contrastive losses (arXiv:2306.00984, appendix: three layers, BatchNorm).

Legend: N views of a batch, F features, D dimensions.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.errors import ConfigError

BATCH_NORMS = ("global", "per_view")


class ProjectionHead(nn.Module):
    """Linear, BatchNorm and ReLU twice, then linear and BatchNorm without affine.

    BatchNorm runs over the whole batch (`global`), or as in the authors' code over each slice apart
    (`per_view`): the first images of all captions, the second ones, and so on. Apart, the statistics of a
    slice say nothing of which images share a caption.

    Args:
        features: F.
        hidden: width of the two inner layers.
        out: D.
        batch_norm: one of `BATCH_NORMS`.
    """

    def __init__(self, features: int, hidden: int, out: int, batch_norm: str = "global") -> None:
        """Builds it; raises ConfigError for an unknown kind of BatchNorm."""
        super().__init__()
        if batch_norm not in BATCH_NORMS:
            raise ConfigError(
                f"encoder.head.batch_norm: got {batch_norm!r}; must be one of {', '.join(BATCH_NORMS)}. "
                "Set it in conf/params/encoder/<name>.yaml."
            )
        self.batch_norm = batch_norm
        self.layers = nn.Sequential(
            nn.Linear(features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, out, bias=False),
            nn.BatchNorm1d(out, affine=False),
        )

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
