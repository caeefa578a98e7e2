"""Decodes image files of any size and mode to RGB.

Legend: (3, H, W) uint8.
"""

import io
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from stablerep.storage.pixels import UnreadableImageError

# pixels; Pillow's own bound, above which it warns of a decompression bomb: 0.25 GiB of RGB
MAX_PIXELS = 89_478_485
_WHITE = (255, 255, 255, 255)
_MAX_OF_16_BITS = 65535


def decode_rgb(data: bytes) -> Tensor:
    """Decodes the bytes of an image file.

    Transparent pixels are put on white, 16-bit grey is scaled to 8 bits, an EXIF orientation is applied, and
    of an animation the first frame is taken. Every other mode is converted as Pillow does it.

    Args:
        data: JPEG, PNG, WebP, or whatever else Pillow reads.

    Returns:
        (3, H, W) uint8.

    Raises:
        UnreadableImageError: the bytes are not an image, are damaged or cut short, have more than
            `MAX_PIXELS` pixels, or a range of values that cannot be known (32 bits, floating point).
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImageError(
                    f"has {image.width} x {image.height} pixels; must be at most {MAX_PIXELS} in all"
                )
            pixels = np.array(to_rgb(ImageOps.exif_transpose(image)))
    except (MemoryError, UnreadableImageError):
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError("is not an image that Pillow can decode (unknown format)") from error
    except Exception as error:  # Pillow's plug-ins raise a dozen types for damaged bytes
        reason = str(error) or type(error).__name__
        raise UnreadableImageError(f"is not an image that Pillow can decode ({reason})") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts an image as `decode_rgb` does, without its orientation; raises UnreadableImageError."""
    if image.mode == "F":
        raise UnreadableImageError("has floating-point pixels of unknown range; must have 8 or 16 bits")
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, _WHITE), rgba).convert("RGB")
    return image.convert("RGB")


def _eight_bits(grey: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Scales 16-bit grey; Pillow holds it in 16 or in 32 bits and clips instead of scaling."""
    values = grey.astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > _MAX_OF_16_BITS):
        raise UnreadableImageError("has 32-bit pixels of unknown range; must have 8 or 16 bits")
    return ((values * 255 + _MAX_OF_16_BITS // 2) // _MAX_OF_16_BITS).astype(np.uint8)
