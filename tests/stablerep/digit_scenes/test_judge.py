"""The attribute judge and the match rates that it gives."""

import math

import pytest
import torch

from stablerep.digit_scenes.judge import (
    AttributeJudge,
    JudgeRecipe,
    accuracy_on_scenes,
    load_judge,
    match_rates,
    save_judge,
    train_judge,
)
from stablerep.digit_scenes.scenes import draw_scenes_of_captions, draw_scenes_per_hand


@pytest.fixture(scope="module")
def judge():
    torch.set_num_threads(1)
    return train_judge(JudgeRecipe(num_images=4096, batch_size=64))


def test_a_little_training_reads_inks_far_above_chance(judge):
    accuracy = accuracy_on_scenes(judge, draw_scenes_per_hand(1, "validation", 0))
    assert accuracy["ink"] > 0.5  # chance is 0.125


def test_match_rates_count_only_what_a_caption_names(judge):
    texts = ["a nine", "a nine", "a digit in navy ink", "a digit in navy ink"]
    scenes = draw_scenes_of_captions(["a nine", "a digit in navy ink"], 2, "fit", 0)
    rates = match_rates(judge, scenes.images, texts)
    assert set(rates) == {"digit", "ink", "diversity"}
    assert 0 < rates["diversity"] < 2


def test_images_of_other_captions_match_less(judge):
    texts = ["a black nine", "a crimson nine", "a teal nine", "a magenta nine"] * 8
    scenes = draw_scenes_of_captions(texts, 1, "fit", 0)
    shifted = texts[1:] + texts[:1]
    assert match_rates(judge, scenes.images, texts)["ink"] > match_rates(judge, scenes.images, shifted)["ink"]


def test_captions_with_one_image_have_no_diversity(judge):
    scenes = draw_scenes_of_captions(["a nine"], 1, "fit", 0)
    assert math.isnan(match_rates(judge, scenes.images, ["a nine"])["diversity"])


def test_a_judge_is_read_back_as_it_was_written(tmp_path):
    judge = AttributeJudge().eval()
    save_judge(judge, tmp_path / "judge.safetensors")
    again = load_judge(tmp_path / "judge.safetensors")
    images = torch.rand(2, 3, 32, 32)
    assert all(torch.equal(judge(images)[k], again(images)[k]) for k in judge(images))


def test_copies_are_not_less_than_nothing_apart():
    images = torch.rand(50, 3, 32, 32, generator=torch.Generator().manual_seed(0)).repeat_interleave(2, dim=0)
    texts = [f"a nine number {row // 2}" for row in range(100)]
    for row in range(0, 100, 2):
        rates = match_rates(AttributeJudge(), images[row : row + 2], texts[row : row + 2])
        assert 0 <= rates["diversity"] < 1e-5
