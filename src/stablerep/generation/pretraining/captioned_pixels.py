"""The training images of a generator: pixels with captions, which a corpus provides.

An image comes with a key, a few whole numbers from which its caption is written. Encoded images are kept with
their keys, so that a caption can be drawn again each time that an image is used.
Legend: B images, K numbers of a key, S side in pixels.
"""

import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from stablerep.errors import ConfigError, DataError
from stablerep.seeding import torch_generator

_SIZE_STEP_PX = 8  # the autoencoder halves the sides twice, the UNet once more


@runtime_checkable
class CaptionedPixels(Protocol):
    """Images with captions, sampled by a seed.

    Attributes:
        size_px: S.
    """

    size_px: int

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

    def caption_of(self, key: Sequence[int], rng: np.random.Generator) -> str:
        """Returns a caption of the image with this key; where there are several, rng chooses."""


class FixedPixels:
    """A fixed array of images with one or more captions each, for instance photographs.

    Args:
        pixels: (N, 3, S, S) uint8.
        captions: the captions of each image, at least one.

    Raises:
        DataError: there is no image, an image has no caption, or the images are not square.
    """

    def __init__(self, pixels: Tensor, captions: Sequence[Sequence[str]]) -> None:
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
        self.size_px = int(pixels.shape[-1])

    def texts(self) -> Iterable[str]:
        """Returns all captions."""
        return (text for each in self.captions for text in each)

    def sample(self, num: int, *seed: int | str) -> tuple[Tensor, Tensor]:
        """Samples images with replacement; see `CaptionedPixels.sample`. The key is the image's row."""
        rows = torch.randint(len(self.pixels), (num,), generator=torch_generator("captioned images", *seed))
        return self.pixels[rows].float() / 255, rows[:, None]

    def caption_of(self, key: Sequence[int], rng: np.random.Generator) -> str:
        """Returns one of the image's captions, each as likely as the others."""
        captions = self.captions[key[0]]
        return captions[int(rng.integers(len(captions)))]


def build_captioned_pixels(entry: Mapping[str, Any]) -> CaptionedPixels:
    """Makes the training images that the configuration names.

    The training runs in processes of its own, which are given the entry as plain values.

    Args:
        entry: `_target_`, the full name of a class with the methods of `CaptionedPixels`, and its arguments;
            those may be entries with `_target_` themselves.

    Raises:
        ConfigError: there is no such class, or it does not take these arguments.
    """
    try:
        made = _build(entry)
    except (AttributeError, ImportError, TypeError, ValueError) as error:
        raise _wrong_entry(entry, f"it cannot be built: {error}") from error
    if not isinstance(made, CaptionedPixels):
        raise _wrong_entry(entry, "it lacks methods of CaptionedPixels")
    if made.size_px % _SIZE_STEP_PX:
        fault = f"its images have {made.size_px} pixels a side, which must be a multiple of {_SIZE_STEP_PX}"
        raise _wrong_entry(entry, fault)
    return made


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
