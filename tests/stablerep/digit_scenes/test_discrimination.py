"""The area under the ROC curve, and what is made of it."""

import math

import pytest
import torch

from stablerep.digit_scenes.discrimination import area_under_curve, measure_discrimination
from stablerep.digit_scenes.grammar import read_caption


def test_the_area_is_the_share_of_ordered_pairs():
    generator = torch.Generator().manual_seed(0)
    high = torch.randint(6, (20,), generator=generator).float()
    low = torch.randint(5, (30,), generator=generator).float()
    difference = high[:, None] - low[None]
    expected = ((difference > 0).float() + 0.5 * (difference == 0).float()).mean()
    assert area_under_curve(high, low) == pytest.approx(float(expected))


def test_perfect_reversed_and_equal_scores_have_areas_of_one_zero_and_a_half():
    low, high = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0, 4.0])
    assert area_under_curve(high, low) == 1.0
    assert area_under_curve(low, high) == 0.0
    assert area_under_curve(torch.ones(3), torch.ones(2)) == 0.5
    assert math.isnan(area_under_curve(torch.empty(0), low))


class TruthScorer:
    """Knows the captions of its images: 1 for the own one, less for each word that differs."""

    scorer_id = "a-truth"

    def __init__(self, texts, attributes):
        self.texts, self.attributes = texts, attributes

    def score(self, images, texts):
        rows = images[:, 0, 0, 0].tolist()
        return torch.tensor([self._fit(self.texts[row], text) for row, text in zip(rows, texts, strict=True)])

    def _fit(self, own, other):
        one, two = read_caption(own).named(), read_caption(other).named()
        return 1.0 - sum(one[name] != two[name] for name in self.attributes if name in one)


def test_a_scorer_that_knows_one_attribute_is_perfect_on_it_and_at_chance_on_the_others():
    long = "a teal seven on a striped orange background"
    texts = ["a nine", "a red two", long, "a green one on plain paper"]
    images = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 3, 2, 2)
    found = measure_discrimination(TruthScorer(texts, ["digit"]), images, texts, seed=0)
    assert found["digit"] == {"paired": 1.0, "auc": 1.0, "num": 4}
    assert found["ink"] == {"paired": 0.0, "auc": 0.5, "num": 2}
    assert found["ground"]["num"] == 1 and found["texture"]["num"] == 2
