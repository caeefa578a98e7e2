"""The loop around the step: the schedule, what decays, what is told."""

import time

import pytest
import torch
from torch import nn

from stablerep.digit_scenes.scenes import draw_scenes_of_captions
from stablerep.image_sets.source import ImageSource
from stablerep.methods.batch import BatchSettings
from stablerep.methods.stablerep import StableRep
from stablerep.models.settings import HeadSettings, TextSettings
from stablerep.storage.pixels import ImagesInMemory
from stablerep.training import loop
from stablerep.training.arms import ArmPlan, train_arm
from stablerep.training.schedule import decay_groups, rate_factor
from stablerep.training.settings import TrainingSettings

TEXTS = ("a red seven", "a nine", "a teal one", "a zero")
SETTINGS = TrainingSettings(num_images=40, batch=BatchSettings(captions=4, images_per_caption=2), log_every=1)
ENCODER = {"_target_": "stablerep.models.residual.ResidualEncoder", "channels": [8, 8], "map_channels": 4}


def plan_of(settings: TrainingSettings) -> ArmPlan:
    return ArmPlan(
        "arm", "stablerep", StableRep(images_per_caption=2), "drawn", ENCODER,
        HeadSettings(hidden_dim=16, out_dim=8),
        TextSettings(), settings, None, seed=0, num_threads=1,
    )  # fmt: skip


def source_of(images: type = ImagesInMemory) -> ImageSource:
    scenes = draw_scenes_of_captions(list(TEXTS), 3, "fit", 0)
    rows = torch.arange(len(TEXTS)).repeat_interleave(3)
    return ImageSource("drawn", images((scenes.images * 255).to(torch.uint8)), rows, TEXTS)


def test_the_rate_rises_to_its_peak_and_falls_by_half_a_cosine_to_zero():
    rates = [rate_factor(step, 110, 10 / 110) for step in range(110)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == pytest.approx(1)
    assert rates[60] == pytest.approx(0.5)
    assert rates[35] == pytest.approx(0.5 + 0.5 / 2**0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001
    assert rate_factor(0, 10, 0.0) == 1


def test_every_step_is_taken_at_the_schedules_rate():
    history = train_arm(plan_of(SETTINGS), source_of()).history
    expected = [SETTINGS.learning_rate * rate_factor(step, 5, SETTINGS.warmup_share) for step in range(5)]
    assert history["learning_rate"].tolist() == pytest.approx(expected)


def test_weight_decay_is_on_matrices_and_kernels_alone():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    model.scale = nn.Parameter(torch.tensor(1.0))
    model[2].bias.requires_grad_(False)
    decayed, spared = decay_groups(model, 0.3)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(model[0].weight), id(model[2].weight)}
    assert {id(p) for p in spared["params"]} == {
        id(model[0].bias), id(model[1].weight), id(model[1].bias), id(model.scale),
    }  # fmt: skip


def test_the_optimiser_gets_the_settings(monkeypatch):
    made = []
    real = torch.optim.AdamW

    def recorded(groups, **options):
        made.append((groups, options))
        return real(groups, **options)

    monkeypatch.setattr(torch.optim, "AdamW", recorded)
    train_arm(plan_of(SETTINGS.changed(betas=(0.5, 0.6), weight_decay=0.7)), source_of())
    ((groups, options),) = made
    assert options["betas"] == (0.5, 0.6)
    assert [group["weight_decay"] for group in groups] == [0.7, 0.0]


def test_every_row_is_looked_at_for_collapse(monkeypatch):
    told = []
    monkeypatch.setattr(loop, "warn_of_collapse", lambda *given: told.append(given))
    history = train_arm(plan_of(SETTINGS), source_of()).history
    assert [(arm, step) for arm, step, _ in told] == [("arm", step) for step in range(1, 6)]
    assert [row["embedding_std"] for _, _, row in told] == history["embedding_std"].tolist()


class SlowImages(ImagesInMemory):
    """Images that take their time."""

    def read(self, row):
        time.sleep(0.02)
        return super().read(row)


def test_what_the_loop_waits_for_data_is_counted():
    history = train_arm(plan_of(SETTINGS), source_of(SlowImages)).history
    # the first batch of eight images is waited for whole
    assert history["waited_s"].iloc[0] > 0.1
    assert history["waited_s"].is_monotonic_increasing
    assert (history["waited_share"].between(0, 1)).all()
