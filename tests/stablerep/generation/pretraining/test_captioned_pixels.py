"""The training images of a generator: a fixed array, and what the configuration may name."""

import numpy as np
import pytest
import torch

from stablerep.errors import ConfigError, DataError
from stablerep.generation.pretraining.captioned_pixels import (
    CaptionedPixels,
    FixedPixels,
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

    def caption_of(self, key, rng):
        return "grey"


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


def test_each_caption_of_an_image_is_drawn_and_no_other():
    rng = np.random.default_rng(0)
    drawn = {photographs().caption_of([1], rng) for _ in range(50)}
    assert drawn == {"dusk", "a dark evening"}


def test_the_tokenizer_learns_from_all_captions():
    assert list(photographs().texts()) == ["night", "dusk", "a dark evening", "snow"]


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
    made = build_captioned_pixels({"_target_": f"{__name__}.Grey", "size_px": 16})
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
    with pytest.raises(ConfigError, match=rf"pretraining\.images .*{fault}"):
        build_captioned_pixels(entry)
