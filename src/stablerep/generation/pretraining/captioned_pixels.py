"""The training images of a generator: pixels with captions, which a corpus provides.

An image comes with a key, a few whole numbers from which its captions follow. There are two kinds: a fixed
set, such as photographs, and an endless stream of drawn images.
Legend: B images, N of a fixed set, K numbers of a key, S side in pixels.
"""

import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stablerep.caption_ids import caption_id_of
from stablerep.curation.people.takedowns import CAPTION, SOURCE, taken_down
from stablerep.errors import ConfigError, DataError
from stablerep.seeding import torch_generator

_CHUNK = 512  # of a stream a part of what an image follows from: another number, other images


@dataclass(frozen=True)
class TakenDown:
    """The takedowns: no generator may learn from images that they cover.

    Attributes:
        captions: ids of captions.
        sources: names of corpora.
    """

    captions: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()


NOTHING_TAKEN_DOWN = TakenDown()


def taken_down_in(takedowns: pd.DataFrame) -> TakenDown:
    """Returns what the table of takedowns covers."""
    return TakenDown(*(frozenset(taken_down(takedowns, kind)) for kind in (CAPTION, SOURCE)))


@runtime_checkable
class CaptionedPixels(Protocol):
    """Images with captions, sampled by a seed.

    Attributes:
        size_px: S.
    """

    size_px: int

    def count(self) -> int | None:
        """Returns the number of images of a fixed set; None for a stream."""

    def texts(self) -> Iterable[str]:
        """Returns texts with every word that the tokenizer must know."""

    def sample(self, num: int, *seed: int | str) -> tuple[Tensor, Tensor]:
        """Samples images as a function of the seed.

        Args:
            num: B.
            *seed: parts of the seed.

        Returns:
            (B, 3, S, S) float32 in [0, 1], and their keys, (B, K) int64.
        """

    def take(self, start: int, num: int, seed: int) -> tuple[Tensor, Tensor]:
        """Takes images in a fixed order: of a fixed set its own, of a stream those that the seed says.

        Args:
            start: number of the first image.
            num: B.
            seed: of a stream's images.

        Returns:
            As `sample`.
        """

    def captions_of(self, key: Sequence[int], num: int, rng: np.random.Generator) -> list[str]:
        """Returns captions of an image: all that it has, or of a stream's image `num` drawn ones."""

    def to(self, device: torch.device) -> "CaptionedPixels":
        """Returns the images with what they hold in memory on a device; streams stay on the CPU."""

    def without(self, taken_down: TakenDown) -> "CaptionedPixels":
        """Returns the images without those that were taken down; streams, which are drawn, have none."""


class FixedPixels:
    """A fixed array of images with one or more captions each, for instance photographs.

    Args:
        pixels: (N, 3, S, S) uint8.
        captions: the captions of each image, at least one.
        mirrored: whether each image comes a second time, mirrored, with the same captions.

    Raises:
        DataError: there is no image, an image has no caption, or the images are not square.
    """

    def __init__(self, pixels: Tensor, captions: Sequence[Sequence[str]], mirrored: bool = False) -> None:
        """Checks that array and captions fit."""
        if not len(pixels) or pixels.shape[-1] != pixels.shape[-2]:
            raise DataError(
                f"captioned images: got an array of shape {tuple(pixels.shape)}; must be (N, 3, S, S) with "
                "at least one image."
            )
        bare = [row for row, each in enumerate(captions) if not each]
        if len(captions) != len(pixels) or bare:
            raise DataError(
                f"captioned images: got {len(pixels)} images, {len(captions)} lists of captions and "
                f"{len(bare)} images without a caption; every image must have at least one."
            )
        self.pixels = pixels
        self.captions = [list(each) for each in captions]
        self.mirrored = mirrored
        self.size_px = int(pixels.shape[-1])

    def count(self) -> int:
        """Returns the number of images, the mirrored ones included."""
        return len(self.pixels) * (2 if self.mirrored else 1)

    def texts(self) -> Iterable[str]:
        """Returns all captions, each once."""
        return dict.fromkeys(text for each in self.captions for text in each)

    def sample(self, num: int, *seed: int | str) -> tuple[Tensor, Tensor]:
        """Samples images with replacement; see `CaptionedPixels.sample`. The key is the image's row."""
        generator = torch_generator("captioned images", *seed)
        return self._at(torch.randint(self.count(), (num,), generator=generator))

    def take(self, start: int, num: int, seed: int) -> tuple[Tensor, Tensor]:
        """Takes images in their order, the mirrored ones after the others; see `CaptionedPixels.take`."""
        del seed
        return self._at(torch.arange(start, start + num))

    def captions_of(self, key: Sequence[int], num: int, rng: np.random.Generator) -> list[str]:
        """Returns all captions of an image."""
        del num, rng
        return self.captions[key[0]]

    def to(self, device: torch.device) -> "FixedPixels":
        """Returns the images with their pixels on a device."""
        return FixedPixels(self.pixels.to(device), self.captions, self.mirrored)

    def without(self, taken_down: TakenDown) -> "FixedPixels":
        """Returns the images without those whose every caption was taken down."""
        gone = taken_down.captions
        captions = [[text for text in each if caption_id_of(text) not in gone] for each in self.captions]
        kept = [row for row, each in enumerate(captions) if each]
        return FixedPixels(self.pixels[kept], [captions[row] for row in kept], self.mirrored)

    def _at(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the images at (B,) places of 2 N, of which the second half are mirrored."""
        rows = places % len(self.pixels)
        pixels = self.pixels[rows.to(self.pixels.device)].float() / 255
        second = (places >= len(self.pixels)).to(pixels.device)
        if self.mirrored:
            pixels = torch.where(second[:, None, None, None], pixels.flip(-1), pixels)
        return pixels, rows[:, None]


def in_chunks(images: CaptionedPixels, pool_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields the images that a denoiser learns from, some hundred at a time, with their keys.

    Args:
        images: a fixed set, of which all are taken, or a stream.
        pool_size: images that are taken of a stream.
        seed: of a stream's images.
    """
    num = images.count() or pool_size
    for start in range(0, num, _CHUNK):
        yield images.take(start, min(_CHUNK, num - start), seed)


def build_captioned_pixels(entry: Mapping[str, Any], size_step_px: int = 1) -> CaptionedPixels:
    """Makes the training images that the configuration names.

    The training runs in processes of its own, which are given the entry as plain values.

    Args:
        entry: `_target_`, the full name of a class with the methods of `CaptionedPixels`, and its arguments;
            those may be entries with `_target_` themselves.
        size_step_px: what the side of the images must be a multiple of, for the networks' sake.

    Raises:
        ConfigError: there is no such class, it does not take these arguments, or the images' size does not
            fit the networks.
    """
    try:
        made = _build(entry)
    except (AttributeError, ImportError, TypeError, ValueError) as error:
        raise _wrong_entry(entry, f"it cannot be built: {error}") from error
    if not isinstance(made, CaptionedPixels):
        raise _wrong_entry(entry, "it lacks methods of CaptionedPixels")
    check_size(made.size_px, size_step_px)
    return made


def check_size(size_px: int, size_step_px: int) -> None:
    """Raises ConfigError unless images of this side fit networks that halve it."""
    if size_px % size_step_px:
        raise ConfigError(
            f"pretraining.images: its images have {size_px} pixels a side, which must be a multiple of "
            f"{size_step_px}: each level of pretraining.latents and pretraining.unet after the first halves "
            "the side. Choose another size or fewer levels in conf/params/pretraining/<name>.yaml."
        )


def _build(entry: Mapping[str, Any]) -> Any:
    options = {
        name: _build(value) if isinstance(value, Mapping) and "_target_" in value else value
        for name, value in entry.items()
    }
    return pkgutil.resolve_name(str(options.pop("_target_", None)))(**options)


def _wrong_entry(entry: Mapping[str, Any], fault: str) -> ConfigError:
    return ConfigError(
        f"pretraining.images is {dict(entry)!r}; {fault}. It must name a class of captioned images by "
        "_target_. Set it in conf/params/pretraining/<name>.yaml."
    )
