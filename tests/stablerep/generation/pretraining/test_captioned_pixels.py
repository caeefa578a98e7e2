"""The training images of a generator: a fixed array, and what the configuration may name."""

import numpy as np
import pytest
import torch

from stablerep.caption_ids import caption_id_of
from stablerep.errors import ConfigError, DataError
from stablerep.generation.pretraining.captioned_pixels import (
    CaptionedPixels,
    FixedPixels,
    TakenDown,
    build_captioned_pixels,
)

SHADES = torch.tensor([0, 51, 255], dtype=torch.uint8)


class Grey:
    """Grey images, as a corpus of its own would give them."""

    def __init__(self, size_px=8):
        self.size_px = size_px

    def texts(self):
        return ["grey"]

    def sample(self, num, *seed):
        return torch.full((num, 3, self.size_px, self.size_px), 0.5), torch.zeros(num, 1, dtype=torch.int64)

    def count(self):
        return None

    def take(self, start, num, seed):
        return self.sample(num, seed, start)

    def captions_of(self, key, num, rng):
        return ["grey"] * num

    def to(self, device):
        return self

    def without(self, taken_down):
        return self


class Silent:
    """Images without captions."""

    size_px = 8


def photographs():
    pixels = SHADES.view(3, 1, 1, 1).expand(3, 3, 8, 8)
    return FixedPixels(pixels, [["night"], ["dusk", "a dark evening"], ["snow"]])


def test_an_array_is_sampled_with_its_captions_as_the_seed_says():
    images = photographs()
    assert isinstance(images, CaptionedPixels)
    pixels, keys = images.sample(200, 0, "pool", 0)
    assert pixels.shape == (200, 3, 8, 8) and pixels.dtype == torch.float32
    assert torch.equal((pixels[:, 0, 0, 0] * 255).to(torch.uint8), SHADES[keys[:, 0]])
    assert keys.unique().tolist() == [0, 1, 2]
    again, same_keys = images.sample(200, 0, "pool", 0)
    assert torch.equal(pixels, again) and torch.equal(keys, same_keys)
    assert not torch.equal(keys, images.sample(200, 1, "pool", 0)[1])


def test_an_image_has_all_its_captions_and_no_other():
    rng = np.random.default_rng(0)
    assert photographs().captions_of([1], 8, rng) == ["dusk", "a dark evening"]
    assert photographs().captions_of([0], 8, rng) == ["night"]


def test_a_fixed_set_is_taken_image_by_image_in_its_order():
    images = photographs()
    assert images.count() == 3
    pixels, keys = images.take(1, 2, seed=0)
    assert keys.tolist() == [[1], [2]]
    assert (pixels[:, 0, 0, 0] * 255).round().tolist() == [51, 255]


def test_mirrored_images_come_after_the_others_with_the_same_captions():
    rows = torch.arange(2 * 8).view(2, 1, 1, 8).expand(2, 3, 8, 8).to(torch.uint8)
    images = FixedPixels(rows, [["left"], ["right"]], mirrored=True)
    assert images.count() == 4
    pixels, keys = images.take(0, 4, seed=0)
    assert keys[:, 0].tolist() == [0, 1, 0, 1]
    assert torch.equal((pixels[:2] * 255).round().to(torch.uint8), rows)
    assert torch.equal(pixels[2:], pixels[:2].flip(-1))
    assert images.to(torch.device("cpu")).count() == 4
    drawn, _ = images.sample(64, 0)
    falling = drawn[:, 0, 0, 0] > drawn[:, 0, 0, -1]
    assert falling.any() and not falling.all()


def test_images_whose_every_caption_was_taken_down_are_left_out():
    gone = TakenDown(captions=frozenset({caption_id_of("Night"), caption_id_of("dusk")}))
    images = photographs().without(gone)
    assert list(images.texts()) == ["a dark evening", "snow"]
    assert torch.equal(images.pixels[:, 0, 0, 0], SHADES[1:])


def test_the_tokenizer_learns_from_all_captions():
    assert list(photographs().texts()) == ["night", "dusk", "a dark evening", "snow"]
    twice = FixedPixels(SHADES.view(3, 1, 1, 1).expand(3, 3, 8, 8), [["snow"], ["snow"], ["ice"]])
    assert list(twice.texts()) == ["snow", "ice"]


@pytest.mark.parametrize(
    ("pixels", "captions", "fault"),
    [
        (torch.zeros(0, 3, 8, 8), [], "at least one image"),
        (torch.zeros(2, 3, 8, 4), [["a"], ["b"]], r"\(2, 3, 8, 4\)"),
        (torch.zeros(2, 3, 8, 8), [["a"]], "1 lists of captions"),
        (torch.zeros(2, 3, 8, 8), [["a"], []], "1 images without a caption"),
    ],
)
def test_an_array_that_does_not_fit_its_captions_is_refused(pixels, captions, fault):
    with pytest.raises(DataError, match=fault):
        FixedPixels(pixels, captions)


def test_any_class_of_captioned_images_can_be_named():
    made = build_captioned_pixels({"_target_": f"{__name__}.Grey", "size_px": 16}, size_step_px=8)
    assert made.sample(2, 0)[0].shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({}, "cannot be built"),
        ({"_target_": "stablerep.no.Such"}, "cannot be built"),
        ({"_target_": f"{__name__}.Grey", "colour": 1}, "cannot be built"),
        ({"_target_": f"{__name__}.Silent"}, "lacks methods of CaptionedPixels"),
        ({"_target_": f"{__name__}.Grey", "size_px": 12}, "12 pixels a side, which must be a multiple of 8"),
    ],
)
def test_what_is_no_class_of_captioned_images_is_refused(entry, fault):
    with pytest.raises(ConfigError, match=rf"pretraining\.images.*{fault}"):
        build_captioned_pixels(entry, size_step_px=8)
