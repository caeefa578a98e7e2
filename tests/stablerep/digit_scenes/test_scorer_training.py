"""The embedded scorer's loss, and a training of seconds."""

import json
import math
import shutil

import pytest
import torch
from torch.nn import functional as F

from stablerep.alignment.clip_arm import ClipArmScorer
from stablerep.alignment.settings import ScorerRecipe
from stablerep.digit_scenes.scorer_training import SceneScorerTraining, reading_loss, scorer_loss
from stablerep.errors import ConfigError
from stablerep.methods.image_text import image_text_loss
from stablerep.storage.digests import faults_of_files, has_digests


@pytest.fixture
def batch():
    """Three images, five texts; the third image has the first one's caption, and one false text is own."""
    generator = torch.Generator().manual_seed(0)
    image_BD = F.normalize(torch.randn(3, 4, generator=generator), dim=1)
    text_MD = F.normalize(torch.randn(5, 4, generator=generator), dim=1)
    return image_BD, text_MD, torch.tensor([[0, 2, 3], [1, 4, 1], [0, 3, 2]]), torch.tensor(1.5)


def naive_pairs(image_BD, text_MD, rows_BK):
    own, false = [], []
    for image, rows in zip(image_BD, rows_BK.tolist(), strict=True):
        for place, row in enumerate(rows):
            probability = 1 / (1 + math.exp(-20 * (float(image @ text_MD[row]) - 0.5)))
            if place == 0:
                own.append(-math.log(probability))
            elif row != rows[0]:
                false.append(-math.log(1 - probability))
    return sum(own) / len(own) + sum(false) / len(false)


def test_the_loss_is_clips_and_a_sigmoid_loss_of_own_and_false_captions(batch):
    image_BD, text_MD, rows_BK, logit_scale = batch
    clip = image_text_loss(image_BD, text_MD[:2], torch.tensor([0, 1, 0]), logit_scale)
    assert float(scorer_loss(*batch, false_weight=0.0)) == pytest.approx(float(clip))
    expected = float(clip) + 0.5 * naive_pairs(image_BD, text_MD, rows_BK)
    assert float(scorer_loss(*batch, false_weight=0.5)) == pytest.approx(expected, rel=1e-4)


def test_captions_without_false_ones_are_drawn_to_their_images(batch):
    image_BD, text_MD, rows_BK, logit_scale = batch
    alone = rows_BK[:, :1].expand(-1, 3)
    difference = scorer_loss(image_BD, text_MD, alone, logit_scale, 1.0) - scorer_loss(
        image_BD, text_MD, alone, logit_scale, 0.0
    )
    own = (image_BD * text_MD[rows_BK[:, 0]]).sum(dim=1)
    assert float(difference) == pytest.approx(float(F.softplus(-20 * (own - 0.5)).mean()), rel=1e-5)


def test_the_gradient_drives_a_false_caption_away(batch):
    image_BD, text_MD, rows_BK, logit_scale = batch
    text_MD = text_MD.clone().requires_grad_()
    scorer_loss(image_BD, text_MD, rows_BK, logit_scale, 1.0).backward()
    # the second image's false caption, which is false for nobody else
    assert float(text_MD.grad[4] @ image_BD[1]) > 0


def test_what_captions_leave_open_is_not_read():
    logits = {
        "digit": torch.zeros(2, 10, requires_grad=True),
        "ink": torch.zeros(2, 8, requires_grad=True),
        "texture": torch.zeros(2, 5, requires_grad=True),
    }
    loss = reading_loss(logits, ["a nine", "a navy number"])
    assert float(loss.detach()) == pytest.approx((math.log(10) + math.log(8)) / 2)
    loss.backward()
    assert logits["digit"].grad[0].abs().sum() > 0 and logits["ink"].grad[1].abs().sum() > 0
    assert not logits["digit"].grad[1].any() and not logits["ink"].grad[0].any()
    assert logits["texture"].grad is None


def test_captions_that_name_nothing_cost_nothing():
    assert float(reading_loss({"digit": torch.randn(2, 10)}, ["a number", "a digit"])) == 0


@pytest.fixture
def recipe():
    encoder = {
        "_target_": "stablerep.models.residual.ResidualEncoder",
        "channels": [4, 4],
        "map_channels": 4,
        "size_px": 32,
    }
    return ScorerRecipe.read(
        {
            "sizes": {"encoder": encoder, "width": 16, "num_layers": 1, "out_dim": 8},
            "training": {"_target_": "stablerep.digit_scenes.scorer_training.SceneScorerTraining"},
            "card": {"_target_": "stablerep.digit_scenes.scorer_card.ScorerCard"},
            "stage": {"num_images": 48, "batch_size": 16, "warmup_steps": 1, "ema_decay": 0.5},
        }
    )


def test_a_training_leaves_a_folder_that_scores_and_a_second_one_the_same_weights(recipe, tmp_path):
    seconds = SceneScorerTraining().train(recipe, tmp_path / "work", tmp_path / "scorer")
    assert seconds > 0
    scorer = ClipArmScorer(tmp_path / "scorer")
    images = torch.randint(256, (3, 3, 32, 32), dtype=torch.uint8)
    scores = scorer.score(images, ["a nine", "a two", "a nine"])
    assert scores.shape == (3,) and scores.abs().max() <= 1
    shutil.copytree(tmp_path / "work" / "tokenizer", tmp_path / "other_work" / "tokenizer")
    SceneScorerTraining().train(recipe, tmp_path / "other_work", tmp_path / "other")
    assert ClipArmScorer(tmp_path / "other").scorer_id == scorer.scorer_id
    assert json.loads((tmp_path / "scorer" / "model.json").read_text())["width"] == 16
    assert has_digests(tmp_path / "scorer") and not faults_of_files(tmp_path / "scorer")
    scorer.check()


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"false_weight": -1.0}, "scorer.training.false_weight"),
        ({"reading_weight": -1.0}, "scorer.training.reading_weight"),
        ({"naming_probability": 0.0}, "scorer.training.naming_probability"),
    ],
)
def test_numbers_out_of_range_are_refused(values, key):
    with pytest.raises(ConfigError, match=key):
        SceneScorerTraining(**values)
