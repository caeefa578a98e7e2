"""The generator that ships with the project draws what captions say, judged by real handwritten digits."""

from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional as F

from pipelines.config.loader import compose
from stablerep.digit_scenes.grammar import DIGITS
from stablerep.generation.diffusion.generator import DiffusersGenerator, ImageRequest
from stablerep.generation.diffusion.precision import fastest_dtype
from stablerep.generation.diffusion.settings import GeneratorSettings

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "data" / "06_models" / "generator"
NUM_IMAGES = 4
SIDE = 12


def fill_frame(strokes):
    """Crops strokes (H, W), 0 to 1, to where there is ink and scales them to SIDE x SIDE, flattened."""
    rows, columns = (torch.nonzero((strokes > 0.4).any(dim=axis)) for axis in (1, 0))
    top, bottom, left, right = (int(x) for x in (rows.min(), rows.max(), columns.min(), columns.max()))
    cropped = strokes[None, None, top : bottom + 1, left : right + 1]
    return F.interpolate(cropped, (SIDE, SIDE), mode="bilinear", antialias=True).flatten()


@pytest.fixture(scope="module")
def reader():
    """A classifier of strokes, fitted on scikit-learn's real handwritten digits."""
    digits = load_digits()
    frames = torch.stack([fill_frame(image) for image in torch.from_numpy(digits.images).float() / 16])
    return KNeighborsClassifier(3).fit(frames.numpy(), digits.target)


def shipped_settings(**changes):
    section = compose(ROOT / "conf" / "params", {})["generator"]
    return GeneratorSettings.read({**section, **changes})


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def images(request):
    settings = shipped_settings(dtype=request.param, images_per_caption=NUM_IMAGES)
    texts = [f"a black {digit} on a plain white background" for digit in DIGITS]
    requests = [
        ImageRequest(f"c-{row}", text, k) for row, text in enumerate(texts) for k in range(NUM_IMAGES)
    ]
    drawn = DiffusersGenerator(FOLDER, settings).draw(requests, 0)
    return torch.cat([batch.images for batch in drawn]).float() / 255


def test_digits_are_as_captioned_far_above_chance(images, reader):
    strokes = 1 - images.mean(dim=1)
    strokes = (strokes - strokes.amin((1, 2), keepdim=True)) / (
        strokes.amax((1, 2), keepdim=True) - strokes.amin((1, 2), keepdim=True)
    )
    read = reader.predict(torch.stack([fill_frame(each) for each in strokes]).numpy())
    named = torch.arange(len(DIGITS)).repeat_interleave(NUM_IMAGES).numpy()
    assert (read == named).mean() > 0.6  # chance is 0.1


def test_ink_and_ground_are_as_captioned(images):
    """Black on white: the darkest pixels are dark, most are light, and none has a colour to speak of."""
    grey = images.mean(dim=1).flatten(1)
    assert (grey.quantile(0.02, dim=1) < 0.45).float().mean() > 0.9
    assert (grey.median(dim=1).values > 0.7).float().mean() > 0.9
    assert (images.amax(1) - images.amin(1)).mean() < 0.15


def test_images_of_one_caption_differ(images):
    first = images.unflatten(0, (len(DIGITS), NUM_IMAGES))
    assert (first[:, 0] - first[:, 1]).abs().mean(dim=(1, 2, 3)).min() > 0.02


NATIVE = pytest.mark.skipif(fastest_dtype() != "bfloat16", reason="bfloat16 is emulated on this machine")


@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=NATIVE)])
def test_an_image_is_the_same_in_batches_of_one_and_of_many_but_for_rounding(dtype):
    requests = [ImageRequest(f"c-{row}", f"a red {text} on sky paper", 0) for row, text in enumerate(DIGITS)]

    def draw(batch_size):
        generator = DiffusersGenerator(FOLDER, shipped_settings(dtype=dtype, batch_size=batch_size))
        return torch.cat([batch.images for batch in generator.draw(requests, 0)]).int()

    together, alone = draw(len(requests)), draw(1)
    difference = (together - alone).abs()
    # docs/generation.md states the tolerance
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 0.003
