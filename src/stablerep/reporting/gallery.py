"""Captions with the images that were made of them.

Legend: N images, (N, 3, H, W) uint8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor

from stablerep.reporting.inline import png_address

_SHOWN_PX = 96  # side of an image on the page


@dataclass(frozen=True)
class GalleryEntry:
    """A caption and its images.

    Attributes:
        text: the caption.
        pictures: data addresses of PNGs.
    """

    text: str
    pictures: list[str]


def pick_images(manifest: pd.DataFrame, num_captions: int = 12, images_per_caption: int = 4) -> pd.DataFrame:
    """Picks rows of a manifest: the first images of captions spread evenly over it.

    Not the best ones: which captions are shown follows from their ids alone.

    Args:
        manifest: rows with caption_id and image_index.
        num_captions: at most so many.
        images_per_caption: at most so many of each.
    """
    caption_ids = sorted(manifest["caption_id"].unique())
    places = np.linspace(0, len(caption_ids) - 1, min(num_captions, len(caption_ids)))
    chosen = [caption_ids[int(place)] for place in places.round()]
    rows = manifest[manifest["caption_id"].isin(chosen)].sort_values(["caption_id", "image_index"])
    return rows.groupby("caption_id", sort=False).head(images_per_caption).reset_index(drop=True)


def make_gallery(images: Tensor, caption_ids: Sequence[str], texts: Mapping[str, str]) -> list[GalleryEntry]:
    """Brings images and captions together.

    Args:
        images: (N, 3, H, W) uint8.
        caption_ids: of each image; the order of the captions on the page.
        texts: caption id -> text.
    """
    pictures: dict[str, list[str]] = {}
    for image, caption_id in zip(images, caption_ids, strict=True):
        shown = scale_image(Image.fromarray(image.permute(1, 2, 0).numpy()))
        pictures.setdefault(caption_id, []).append(png_address(shown))
    return [GalleryEntry(texts[caption_id], shown) for caption_id, shown in pictures.items()]


def scale_image(image: Image.Image) -> Image.Image:
    """Brings an image to about the page's size: small ones by whole pixels, large ones smoothly."""
    longest = max(image.size)
    if longest > _SHOWN_PX:
        share = _SHOWN_PX / longest
        size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
        return image.resize(size, Image.Resampling.LANCZOS)
    factor = _SHOWN_PX // longest
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
