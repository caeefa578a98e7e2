"""Images of captions that belong to no image set: model cards show and measure them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stablerep.caption_ids import caption_id_of
from stablerep.generation.diffusion.generator import DiffusersGenerator, ImageRequest


def draw_samples(
    generator: DiffusersGenerator, texts: Sequence[str], images_per_caption: int, seed: int
) -> Tensor:
    """Draws images of captions: (len(texts), images_per_caption, 3, H, W) float32 in [0, 1]."""
    requests = [
        ImageRequest(caption_id_of(text), text, index)
        for text in texts
        for index in range(images_per_caption)
    ]
    images = torch.cat([drawn.images for drawn in generator.draw(requests, seed)])
    return images.unflatten(0, (len(texts), images_per_caption)).float() / 255


def grid_of(images: Tensor, enlarged: int) -> Tensor:
    """Puts samples side by side, one row per caption: (3, rows * H * enlarged, columns * W * enlarged)."""
    rows, columns, channels, height, width = images.shape
    grid = images.permute(2, 0, 3, 1, 4).reshape(channels, rows * height, columns * width)
    return grid.repeat_interleave(enlarged, dim=1).repeat_interleave(enlarged, dim=2)
