"""Scenes as bytes: what an image set, an evaluation and a table of images hold of them.

Legend: I images.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stablerep.storage.pixels import ImagesInMemory
from stablerep.storage.shards import digest_of


def to_bytes(images: Tensor) -> Tensor:
    """Returns images in [0, 1] as uint8."""
    return (images * 255).round().to(torch.uint8)


def digests_of(images: Tensor) -> list[str]:
    """Returns a digest of the pixels of each image of (I, 3, H, W) uint8."""
    return [digest_of(image.numpy().tobytes()) for image in images.contiguous()]


class ScenePixels(ImagesInMemory):
    """Scenes in memory, each named by its key (`stablerep.storage.pixels.Pixels`)."""

    def __init__(self, images: Tensor, keys: Sequence[str]) -> None:
        """Takes (I, 3, 32, 32) uint8 and I keys."""
        super().__init__(images)
        self.keys = list(keys)

    def name_of(self, row: int) -> str:
        """Returns the scene's key."""
        return self.keys[row]

    def subset(self, rows: Tensor) -> "ScenePixels":
        """Returns the scenes of these rows."""
        return ScenePixels(self.images[rows], [self.keys[row] for row in rows.tolist()])
