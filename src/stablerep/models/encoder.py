"""What every encoder is."""

import torch
from torch import Tensor, nn

from stablerep.errors import ConfigError

# An image whose deviation is below it, of [0, 1], shows one colour: a 40th of one of 256 steps.
_FLAT = 1e-4


class Encoder(nn.Module):
    """Maps (B, 3, S, S) float32 images in [0, 1] to (B, F) features.

    Attributes:
        num_features: F.
        size_px: S; views are drawn at this size, and images are resized to it.
    """

    num_features: int
    size_px: int

    def checkpoint_gradients(self) -> None:
        """Has the backward pass compute what is inside of each block again, instead of keeping it.

        Raises:
            ConfigError: this encoder has no blocks that can be.
        """
        raise ConfigError(
            f"training.speed.gradient_checkpointing: got True; must be false for this {type(self).__name__}, "
            "which cannot compute its blocks again. Set training.batch.chunk in "
            "conf/params/training/<name>.yaml if memory is short."
        )


def standardise_each(images: Tensor) -> Tensor:
    """Standardises (B, 3, H, W) images, each by its own mean and deviation over pixels and channels.

    An image of one colour becomes ones. Zeros would leave group norms nothing to divide by but their epsilon,
    layer after layer, until the gradient overflows.
    """
    deviation, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True)
    return torch.where(deviation < _FLAT, 1.0, (images - mean) / (deviation + 1e-5))
