"""What every encoder is."""

from torch import nn


class Encoder(nn.Module):
    """Maps (B, 3, H, W) float32 images in [0, 1] to (B, F) features.

    Attributes:
        num_features: F.
    """

    num_features: int
