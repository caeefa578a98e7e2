"""The pixels of a set of images, read one by one: what training and evaluation need to know of a source.

Sources: images in memory (here), images of an image set (`stablerep.image_sets.stored_images`), images of a
corpus, read where they lie (`stablerep.corpora.reading_in_place`).

Legend: I images, each (3, H, W) uint8.
"""

from typing import Protocol

import torch
from torch import Tensor

from stablerep.errors import DataError
from stablerep.storage.shards import digest_of


class UnreadableImageError(DataError):
    """An image whose bytes are damaged, of another size, or not in their file; see `storage.outages`."""


class Pixels(Protocol):
    """The pixels of a source's images."""

    def __len__(self) -> int:
        """Returns the number of images."""

    def read(self, row: int) -> Tensor:
        """Returns an image, (3, H, W) uint8; raises UnreadableImageError or OutageError."""

    def name_of(self, row: int) -> str:
        """Returns the image's name in its source; it stays the same in a subset."""

    def fingerprint(self) -> bytes:
        """Returns bytes that are equal only for equal images in equal order."""

    def subset(self, rows: Tensor) -> "Pixels":
        """Returns the images of these rows, in this order."""


class ImagesInMemory:
    """Images that a program made."""

    def __init__(self, images: Tensor, rows: Tensor | None = None) -> None:
        """Takes (I, 3, H, W) uint8, and for a subset the rows that the images had before."""
        self.images = images
        self.rows = torch.arange(len(images)) if rows is None else rows

    def __len__(self) -> int:
        """Returns I."""
        return len(self.images)

    def read(self, row: int) -> Tensor:
        """Returns an image, (3, H, W) uint8."""
        return self.images[row]

    def name_of(self, row: int) -> str:
        """Returns the row that the image had when it was made."""
        return f"image {int(self.rows[row])}"

    def fingerprint(self) -> bytes:
        """Returns a digest of the pixels."""
        return digest_of(self.images.contiguous().numpy().tobytes()).encode()

    def subset(self, rows: Tensor) -> "ImagesInMemory":
        """Returns the images of these rows."""
        return ImagesInMemory(self.images[rows], self.rows[rows])
