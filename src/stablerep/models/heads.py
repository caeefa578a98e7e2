"""The projection head of the contrastive losses (arXiv:2306.00984, appendix: three layers, BatchNorm)."""

from torch import Tensor, nn
from torch.nn import functional as F


class ProjectionHead(nn.Module):
    """Linear, BatchNorm and ReLU twice, then linear and BatchNorm without affine.

    BatchNorm runs over all views of the process's batch together (the authors' code runs it on each
    view's slice apart: with one view an image, as here, there are no slices).

    Args:
        features: F.
        hidden: width of the two inner layers.
        out: D.
    """

    def __init__(self, features: int, hidden: int, out: int) -> None:
        """Builds it."""
        super().__init__()
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

    def forward(self, features: Tensor) -> Tensor:
        """Maps (N, F) to (N, D) of unit length, float32."""
        return F.normalize(self.layers(features).float(), dim=1)
