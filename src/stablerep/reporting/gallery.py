"""Captions with their images; image sets that share captions stand side by side.

Legend: N images, each (3, H, W) uint8.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor

from stablerep.reporting.inline import png_address

_SHOWN_PX = 96  # side of an image on the page
_NUM_CAPTIONS = 12


@dataclass(frozen=True)
class GalleryEntry:
    """A caption and its images.

    Attributes:
        text: the caption; empty for an image without one.
        pictures: data addresses of PNGs.
    """

    text: str
    pictures: list[str]


@dataclass(frozen=True)
class SharedEntry:
    """A caption that several image sets show.

    Attributes:
        text: the caption.
        pictures: image set -> data addresses of PNGs.
    """

    text: str
    pictures: dict[str, list[str]]


def pick_captions(
    manifests: Mapping[str, pd.DataFrame], num_captions: int = _NUM_CAPTIONS
) -> dict[str, list[str]]:
    """Picks the captions that the gallery of each image set shows, spread evenly over its captions.

    Not the best ones: which captions are shown follows from their ids alone. Where sets share captions, those
    in most sets are picked, so that the galleries can be compared.

    Args:
        manifests: image set -> rows with `caption_id`.
        num_captions: at most this many of each set.

    Returns:
        Image set -> caption ids in sorted order.
    """
    ids = {name: set(manifest["caption_id"]) for name, manifest in manifests.items()}
    num_sets = Counter(caption_id for of_set in ids.values() for caption_id in of_set)
    most = max(num_sets.values(), default=0)
    shared = [caption_id for caption_id, number in num_sets.items() if number == most] if most > 1 else []
    spread = set(_spread(shared, num_captions))
    return {name: sorted(spread & of_set) or _spread(of_set, num_captions) for name, of_set in ids.items()}


def _spread(caption_ids: Sequence[str] | set[str], number: int) -> list[str]:
    ordered = sorted(caption_ids)
    places = np.linspace(0, len(ordered) - 1, min(number, len(ordered)))
    return [ordered[int(place)] for place in places.round()]


def pick_images(
    manifest: pd.DataFrame, caption_ids: Sequence[str] | None = None, images_per_caption: int = 4
) -> pd.DataFrame:
    """Picks rows of a manifest: the first images of some captions.

    Args:
        manifest: rows with `caption_id`; in the order of `image_index` where it has this column.
        caption_ids: which ones; None picks them as `pick_captions` does.
        images_per_caption: at most this many of each.
    """
    chosen = pick_captions({"": manifest})[""] if caption_ids is None else caption_ids
    rows = manifest[manifest["caption_id"].isin(list(chosen))]
    keys = [name for name in ("caption_id", "image_index") if name in rows]
    rows = rows.sort_values(keys, kind="stable")
    return rows.groupby("caption_id", sort=False).head(images_per_caption).reset_index(drop=True)


def make_gallery(
    images: Tensor | Sequence[Tensor], caption_ids: Sequence[str], texts: Mapping[str, str]
) -> list[GalleryEntry]:
    """Brings images and captions together.

    Args:
        images: N, of any sizes.
        caption_ids: of each image; the order of the captions on the page.
        texts: caption id -> text.
    """
    pictures: dict[str, list[str]] = {}
    for image, caption_id in zip(images, caption_ids, strict=True):
        shown = scale_image(Image.fromarray(image.permute(1, 2, 0).numpy()))
        pictures.setdefault(caption_id, []).append(png_address(shown))
    return [GalleryEntry(texts[caption_id], shown) for caption_id, shown in pictures.items()]


def share_galleries(
    galleries: Mapping[str, Sequence[GalleryEntry]],
) -> tuple[list[SharedEntry], dict[str, list[GalleryEntry]]]:
    """Parts captions that several image sets show from those of one set.

    Args:
        galleries: by image set.

    Returns:
        The shared captions, and what is left of each gallery.
    """
    num_sets = Counter(entry.text for gallery in galleries.values() for entry in gallery)
    pictures: dict[str, dict[str, list[str]]] = {}
    own: dict[str, list[GalleryEntry]] = {}
    for name, gallery in galleries.items():
        own[name] = []
        for entry in gallery:
            if entry.text and num_sets[entry.text] > 1:
                pictures.setdefault(entry.text, {}).setdefault(name, []).extend(entry.pictures)
            else:
                own[name].append(entry)
    # a caption that one set alone shows twice is not shared
    for text in [text for text, by_set in pictures.items() if len(by_set) == 1]:
        ((name, shown),) = pictures.pop(text).items()
        own[name].append(GalleryEntry(text, shown))
    return [SharedEntry(text, by_set) for text, by_set in pictures.items()], own


def scale_image(image: Image.Image, shown_px: int = _SHOWN_PX) -> Image.Image:
    """Scales the longer side to about the page's size: small images by whole factors, large ones smoothly."""
    longest = max(image.size)
    if longest > shown_px:
        share = shown_px / longest
        size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
        return image.resize(size, Image.Resampling.LANCZOS)
    factor = shown_px // longest
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
