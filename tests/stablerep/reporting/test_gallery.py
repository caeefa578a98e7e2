"""Captions with their images."""

import base64
import io

import numpy as np
import pandas as pd
import torch
from PIL import Image

from stablerep.reporting.gallery import make_gallery, pick_images, scale_image


def _manifest(num_captions: int, images: int) -> pd.DataFrame:
    pairs = [(f"c-{c:03d}", i) for c in range(num_captions) for i in reversed(range(images))]
    return pd.DataFrame(pairs, columns=["caption_id", "image_index"])


def test_captions_are_spread_evenly_with_their_first_images_in_order() -> None:
    picked = pick_images(_manifest(101, 6), num_captions=5, images_per_caption=4)
    assert picked["caption_id"].unique().tolist() == ["c-000", "c-025", "c-050", "c-075", "c-100"]
    assert picked.groupby("caption_id")["image_index"].apply(list).tolist() == [[0, 1, 2, 3]] * 5


def test_fewer_captions_than_asked_are_all_shown_once() -> None:
    assert len(pick_images(_manifest(2, 3))) == 6


def test_small_images_grow_by_whole_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    grown = np.asarray(scale_image(Image.fromarray(pixels)))
    assert grown.shape == (96, 96, 3)
    assert (grown == pixels.repeat(3, axis=0).repeat(3, axis=1)).all()


def test_large_images_shrink() -> None:
    assert scale_image(Image.new("RGB", (512, 256))).size == (96, 48)


def test_pictures_stand_under_their_captions() -> None:
    images = torch.stack([torch.full((3, 32, 32), value, dtype=torch.uint8) for value in (9, 8, 7)])
    entries = make_gallery(images, ["b", "b", "a"], {"a": "a one", "b": "a two"})
    assert [(entry.text, len(entry.pictures)) for entry in entries] == [("a two", 2), ("a one", 1)]
    data = base64.b64decode(entries[1].pictures[0].split(",")[1])
    assert Image.open(io.BytesIO(data)).getpixel((0, 0)) == (7, 7, 7)
