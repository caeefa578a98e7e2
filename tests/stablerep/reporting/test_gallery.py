"""Captions with their images."""

import base64
import io

import numpy as np
import pandas as pd
import torch
from PIL import Image

from stablerep.reporting.gallery import (
    GalleryEntry,
    make_gallery,
    pick_captions,
    pick_images,
    scale_image,
    share_galleries,
)


def _manifest(num_captions: int, images: int) -> pd.DataFrame:
    pairs = [(f"c-{c:03d}", i) for c in range(num_captions) for i in reversed(range(images))]
    return pd.DataFrame(pairs, columns=["caption_id", "image_index"])


def test_captions_are_spread_evenly_over_a_set() -> None:
    picked = pick_captions({"set": _manifest(101, 2)}, num_captions=5)
    assert picked == {"set": ["c-000", "c-025", "c-050", "c-075", "c-100"]}


def test_sets_that_share_captions_show_the_same_ones() -> None:
    few = _manifest(60, 1).query("caption_id >= 'c-040'")
    other = few.assign(caption_id="x" + few["caption_id"])
    picked = pick_captions({"all": _manifest(60, 2), "few": few, "other": other}, num_captions=3)
    assert picked["all"] == picked["few"] == ["c-040", "c-050", "c-059"]
    assert len(picked["other"]) == 3 and all(each.startswith("x") for each in picked["other"])


def test_the_first_images_of_a_caption_are_picked_in_order() -> None:
    picked = pick_images(_manifest(9, 6), ["c-004", "c-002"])
    assert picked.groupby("caption_id")["image_index"].apply(list).to_dict() == {
        "c-002": [0, 1, 2, 3],
        "c-004": [0, 1, 2, 3],
    }


def test_fewer_captions_than_asked_are_all_shown_once() -> None:
    assert len(pick_images(_manifest(2, 3))) == 6


def test_images_without_an_index_keep_their_order() -> None:
    rows = pd.DataFrame({"caption_id": ["b", "a", "a"], "key": ["1", "3", "2"]})
    assert pick_images(rows)["key"].tolist() == ["3", "2", "1"]


def test_captions_of_several_sets_are_shown_side_by_side() -> None:
    one = [GalleryEntry("a cow", ["1"]), GalleryEntry("a cat", ["2"]), GalleryEntry("", ["3"])]
    two = [GalleryEntry("a cow", ["4"]), GalleryEntry("", ["5"])]
    shared, own = share_galleries({"one": one, "two": two})
    assert [(entry.text, entry.pictures) for entry in shared] == [("a cow", {"one": ["1"], "two": ["4"]})]
    # images without a caption share none
    assert own == {"one": one[1:], "two": two[1:]}


def test_a_caption_that_one_set_shows_twice_is_not_shared() -> None:
    shared, own = share_galleries({"one": [GalleryEntry("a", ["1"]), GalleryEntry("a", ["2"])], "two": []})
    assert shared == []
    assert own["one"] == [GalleryEntry("a", ["1", "2"])]


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


def test_images_of_different_sizes_have_a_place_in_one_gallery() -> None:
    images = [torch.zeros(3, 32, 32, dtype=torch.uint8), torch.zeros(3, 500, 250, dtype=torch.uint8)]
    entries = make_gallery(images, ["a", "a"], {"a": ""})
    shown = [Image.open(io.BytesIO(base64.b64decode(each.split(",")[1]))) for each in entries[0].pictures]
    assert [image.size for image in shown] == [(96, 96), (48, 96)]
