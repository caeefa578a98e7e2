"""A scorer that reads colours, and one that ships with the project."""

from pathlib import Path

import pytest
import torch

from stablerep.alignment.clip_arm import ClipArmScorer
from stablerep.alignment.scorer import score_pairs

PROJECT = Path(__file__).parents[3]
COLOURS = {"red": 0, "green": 1, "blue": 2}


class ColourScorer:
    """Scores how much of an image's light has the colour that the text names; counts what it is asked."""

    def __init__(self, scorer_id="a-" + "0" * 16):
        self.scorer_id, self.num_scored = scorer_id, 0

    def score(self, images, texts):
        self.num_scored += len(images)
        return score_pairs(images, texts, self._embed_images, self._embed_texts, 4)

    def _embed_images(self, images):
        return torch.nn.functional.normalize(images.float().mean(dim=(2, 3)), dim=1)

    def _embed_texts(self, texts):
        return torch.eye(3)[[COLOURS[text.split()[-1]] for text in texts]]


@pytest.fixture
def colour_scorer():
    return ColourScorer()


@pytest.fixture(scope="session")
def shipped_scorer():
    """Returns the embedded scorer."""
    return ClipArmScorer(PROJECT / "data" / "06_models" / "scorer")
