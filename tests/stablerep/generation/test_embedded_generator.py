"""The generator that ships with the project draws what captions say, judged by real handwritten digits."""

from pathlib import Path

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional as F

from stablerep.corpora.grammar import DIGITS
from stablerep.generation.generator import DiffusersGenerator, ImageRequest
from stablerep.generation.settings import GenerationSettings

FOLDER = Path(__file__).parents[3] / "data" / "06_models" / "generator"
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


@pytest.fixture(scope="module")
def images():
    settings = GenerationSettings(
        guidance_scale=2.5,
        num_inference_steps=4,
        guidance_interval=(0.25, 1),
        images_per_caption=NUM_IMAGES,
        size_px=32,
        scheduler=DPMSolverMultistepScheduler,
    )
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
