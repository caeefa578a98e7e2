"""Features of a frozen encoder.

Legend: N images, F features.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.models.encoder import Encoder


class ResizedEncoder(nn.Module):
    """An encoder that takes images of any size: they are resized to the one it was built for.

    Args:
        encoder: to be wrapped.
    """

    def __init__(self, encoder: Encoder) -> None:
        """Wraps it."""
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, 3, H, W) images in [0, 1] to (B, F)."""
        size = (self.encoder.size_px, self.encoder.size_px)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        return self.encoder(images)


@torch.inference_mode()
def extract_features(encoder: nn.Module, images: Tensor, batch_size: int = 512) -> np.ndarray:
    """Runs an encoder in evaluation mode over images; its mode is as before afterwards.

    Args:
        encoder: maps (B, 3, H, W) float32 in [0, 1] to (B, ...), on any device.
        images: (N, 3, H, W), float in [0, 1] or uint8 in 0..255.
        batch_size: images at a time.

    Returns:
        (N, F) float32; what the encoder returns beyond two dimensions is flattened.
    """
    parameter = next(encoder.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    was_training = encoder.training
    encoder.eval()
    parts = []
    scale = 255 if images.dtype == torch.uint8 else 1
    for part in images.split(batch_size):
        # to the device first: uint8 crosses the bus four times as fast as float32
        features = encoder(part.to(device).float() / scale)
        parts.append(features.flatten(1).float().cpu())
    encoder.train(was_training)
    return torch.cat(parts).numpy()
