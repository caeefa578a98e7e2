"""Reads images where they lie: in files of their own, inside tars, in rows of Parquet files.

Nothing is copied. An image is read by its place when it is needed, and its bytes are checked against the
digest in the image table.

Legend: (3, H, W) uint8.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd
import torch
from torch import Tensor

from stablerep.corpora.decoding import decode_rgb
from stablerep.errors import check_range
from stablerep.storage.outages import file_faults, read_patiently
from stablerep.storage.pixels import Pixels, UnreadableImageError
from stablerep.storage.shards import digest_of

_PLACE = ("path", "offset", "size_bytes", "row")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies; see `stablerep.corpora.corpus.IMAGE_COLUMNS`."""

    path: str
    offset: int
    size_bytes: int
    row: int


class ImageReader(Protocol):
    """Reads the bytes of images; can be pickled, and used by several threads."""

    def read(self, place: Place) -> bytes:
        """Returns the bytes of an image file.

        Raises:
            UnreadableImageError: the file that should have the image is there, and has none.
            OutageError: the file is missing, or the file system failed.
        """


class FileReader:
    """Reads whole files and parts of files."""

    def __init__(self, root: Path = Path()) -> None:
        """Takes the folder that paths are relative to."""
        self.root = root

    def read(self, place: Place) -> bytes:
        """Returns the bytes; see `ImageReader.read`."""
        path = self.root / place.path
        with file_faults(path), path.open("rb") as file:
            if place.offset < 0:
                return file.read()
            file.seek(place.offset)
            return file.read(place.size_bytes)


class ImagesInPlace:
    """Images of a corpus, each in its own size (`Pixels`)."""

    def __init__(self, reader: ImageReader, table: pd.DataFrame) -> None:
        """Takes what reads the bytes, and rows of an image table."""
        self.reader = reader
        self.keys = table["key"].to_numpy(dtype=object)
        self.digests = table["digest"].to_numpy(dtype=object)
        self.places = [
            Place(str(path), int(offset), int(size_bytes), int(row))
            for path, offset, size_bytes, row in zip(*(table[name] for name in _PLACE), strict=True)
        ]

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.keys)

    def read(self, row: int) -> Tensor:
        """Returns an image, (3, H, W) uint8.

        Raises:
            UnreadableImageError: it has other bytes than when the table was made, or is damaged.
            OutageError: its file is missing or the file system fails, for longer than `read_patiently` waits.
        """
        try:
            data = read_patiently(lambda: self.reader.read(self.places[row]))
            if digest_of(data) != self.digests[row]:
                raise UnreadableImageError("has changed since the table of images was made")
            return decode_rgb(data)
        except UnreadableImageError as error:
            raise UnreadableImageError(f"{self.name_of(row)}: {error}") from error

    def name_of(self, row: int) -> str:
        """Returns the image's key."""
        return str(self.keys[row])

    def fingerprint(self) -> bytes:
        """Returns the digests of all images."""
        return "\n".join(self.digests).encode()

    def subset(self, rows: Tensor) -> "ImagesInPlace":
        """Returns the images of these rows."""
        chosen = copy.copy(self)
        chosen.keys, chosen.digests = self.keys[rows.numpy()], self.digests[rows.numpy()]
        chosen.places = [self.places[row] for row in rows.tolist()]
        return chosen


class ResizedPixels:
    """Images of any size, all in one size (`Pixels`): training and encoders need that.

    The shorter side is resized, with antialiasing and bicubic interpolation, and the centre is cropped: the
    usual preparation of ImageNet's images for evaluation (arXiv:2010.11929 and later).
    """

    def __init__(self, pixels: Pixels, size_px: int) -> None:
        """Takes the images and the side of the square that they become.

        Raises:
            ConfigError: the size is below 1.
        """
        check_range("size_px", size_px, 1)
        self.pixels = pixels
        self.size_px = size_px

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.pixels)

    def read(self, row: int) -> Tensor:
        """Returns an image, (3, size_px, size_px) uint8; raises UnreadableImageError."""
        return resized(self.pixels.read(row), self.size_px)

    def name_of(self, row: int) -> str:
        """Returns the image's name in its source."""
        return self.pixels.name_of(row)

    def fingerprint(self) -> bytes:
        """Returns bytes that depend on the images and the size."""
        return self.pixels.fingerprint() + f" at {self.size_px} px".encode()

    def subset(self, rows: Tensor) -> "ResizedPixels":
        """Returns the images of these rows."""
        return ResizedPixels(self.pixels.subset(rows), self.size_px)


def resized(image: Tensor, size_px: int) -> Tensor:
    """Resizes the shorter side and crops the centre.

    Args:
        image: (3, H, W) uint8.
        size_px: of the square.

    Returns:
        (3, size_px, size_px) uint8.
    """
    height, width = image.shape[1:]
    if (height, width) != (size_px, size_px):
        scale = size_px / min(height, width)
        size = (max(size_px, round(height * scale)), max(size_px, round(width * scale)))
        image = torch.nn.functional.interpolate(image[None], size, mode="bicubic", antialias=True)[0]
    top, left = (image.shape[1] - size_px) // 2, (image.shape[2] - size_px) // 2
    return image[:, top : top + size_px, left : left + size_px].contiguous()
