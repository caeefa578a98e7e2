"""What the scorer's card is made of."""

import pytest
import torch

from stablerep.digit_scenes import scorer_card
from stablerep.digit_scenes.scenes import NUM_CLASSES
from stablerep.digit_scenes.scorer_card import measure_rejection, write_card

TEXTS = ["a nine", "a navy two", "a number on a striped background", "a digit"] * 25


@pytest.fixture
def rejection(monkeypatch):
    """Images of which the judge reads a two in navy on stripes; the nines and only they are wrong."""
    shown = {"digit": 2, "ink": 1, "ground": 0, "texture": 2}
    assert set(shown) == set(NUM_CLASSES)

    def read(judge, images):
        return {name: torch.full((len(images),), value) for name, value in shown.items()}, None

    monkeypatch.setattr(scorer_card, "predict_attributes", read)
    scores = torch.tensor([0.1, 0.9, 0.8, 0.7] * 25) + torch.arange(100) / 10_000
    return measure_rejection(scores, None, torch.zeros(100, 3, 8, 8), TEXTS)


def test_dropping_the_worst_raises_the_share_that_matches(rejection):
    assert rejection["num_mismatched"] == 25 and rejection["auc"] == 1.0
    assert rejection["kept"]["0"] == {"threshold": pytest.approx(0.1), "digit": 0.5, "all": 0.75}
    kept = rejection["kept"]["0.1"]
    # ten of the nines are gone
    assert kept["all"] == pytest.approx(75 / 90) and kept["digit"] == pytest.approx(25 / 40)
    assert kept["threshold"] == pytest.approx(0.1 + 40 / 10_000)


def test_the_card_names_its_figures(rejection):
    real = {name: {"paired": 0.987, "auc": 0.9876, "num": 9} for name in NUM_CLASSES}
    figures = {"scorer_id": "a-0123", "real": real, "generated": rejection}
    card = write_card(figures, {"training_s": 360.0}, {"stage": {"num_images": 96_000}})
    assert "`a-0123`" in card and "96,000 captioned real scenes" in card and "in 6 minutes" in card
    assert "`make scorer` with `scorer` of conf/params" in card
    assert "| digit | 98.7 | 0.9876 |" in card
    assert "| 10 % | 0.104 | 62.50 | 83.33 |" in card
    assert card.startswith("---\nlicense: apache-2.0\n")
