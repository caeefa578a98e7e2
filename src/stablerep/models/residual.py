"""The image tower of the embedded scorer: a residual net whose last map is flattened.

Flattened, not pooled: on the embedded corpus global average pooling failed even with perfect labels
(16-19 %), because the classes there differ in where a stroke lies (docs/experiments.md).
Legend: B images, C channels, F features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from stablerep.errors import check_range
from stablerep.models.encoder import Encoder, standardise_each


class _Block(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.skip = nn.Conv2d(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(inner)) + self.skip(x))


class ResidualEncoder(Encoder):
    """Three residual stages, each of stride 2, a 1x1 convolution, flattened.

    Args:
        channels: of the stages.
        map_channels: of the last map.
        size_px: side of the square images.
    """

    def __init__(
        self,
        channels: tuple[int, ...] | list[int] = (32, 64, 96),
        map_channels: int = 32,
        size_px: int = 32,
    ) -> None:
        """Builds it; raises ConfigError for a size that the strides do not divide."""
        super().__init__()
        check_range("encoder.backbone.map_channels", map_channels, 1)
        check_range("encoder.backbone.size_px", size_px, 2 ** len(channels))
        self.size_px = size_px
        sizes = [3, *channels]
        blocks = [_Block(a, b, 2) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
        self.blocks = nn.Sequential(*blocks)
        self.reduce = nn.Conv2d(sizes[-1], map_channels, 1)
        self.computes_again = False
        self.num_features = map_channels * (size_px // 2 ** len(channels)) ** 2

    def checkpoint_gradients(self) -> None:
        """Keeps the inputs of the blocks alone."""
        self.computes_again = True

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, 3, H, W) images in [0, 1] to (B, F) features; each image is standardised first."""
        x = standardise_each(images)
        for block in self.blocks:
            again = self.computes_again and torch.is_grad_enabled()
            x = checkpoint(block, x, use_reentrant=False) if again else block(x)
        return self.reduce(x).flatten(1)
