"""What every encoder is."""

from torch import nn


class Encoder(nn.Module):
    """Maps (B, 3, S, S) float32 images in [0, 1] to (B, F) features.

    Attributes:
        num_features: F.
        size_px: S; views are drawn at this size, and images are resized to it.
    """

    num_features: int
    size_px: int
