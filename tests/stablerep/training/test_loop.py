"""The loop around the step: the schedule, what decays, what is told."""

import logging
import math
import time

import pytest
import torch
from torch import nn

from stablerep.digit_scenes.scenes import draw_scenes_of_captions
from stablerep.errors import ConfigError
from stablerep.image_sets.source import ImageSource
from stablerep.methods.batch import BatchSettings
from stablerep.methods.stablerep import StableRep
from stablerep.models.settings import HeadSettings, TextSettings
from stablerep.storage.pixels import ImagesInMemory
from stablerep.training import loop
from stablerep.training.arms import ArmPlan, train_arm
from stablerep.training.schedule import Schedule, decay_groups
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


def rates_of(num_steps, warmup_steps):
    schedule = Schedule(num_steps, warmup_steps, 1)
    return [schedule.rate_factor(step) for step in range(num_steps)]


def test_the_rate_rises_to_its_peak_and_falls_by_half_a_cosine_to_zero():
    rates = rates_of(110, 10.0)
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == pytest.approx(1)
    assert rates[60] == pytest.approx(0.5)
    assert rates[35] == pytest.approx(0.5 + 0.5 / 2**0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001
    assert rates_of(10, 0.0)[0] == 1


@pytest.mark.parametrize("warmup_steps", [0.25, 0.8, 1.5, 2.5, 7.3, 9.99])
def test_a_warm_up_of_a_fractional_length_never_exceeds_the_peak(warmup_steps):
    rates = rates_of(10, warmup_steps)
    assert max(rates) <= 1
    whole = int(warmup_steps)
    # it rises by the same amount in each step that lies in it; in the step in which it ends it is at the peak
    assert rates[:whole] == pytest.approx([(step + 1) / warmup_steps for step in range(whole)])
    assert rates[whole] == 1
    for step in range(whole + 1, 10):
        done = (step - warmup_steps) / max(1, 10 - warmup_steps)
        assert rates[step] == pytest.approx(0.5 + 0.5 * math.cos(math.pi * done))


def test_every_step_is_taken_at_the_schedules_rate(monkeypatch):
    """Five steps of which 1.5 warm up: their rates written out, in the history and in the optimiser alike."""
    taken = []
    real = torch.optim.AdamW.step

    def step(self, *given, **options):
        taken.append([group["lr"] for group in self.param_groups])
        return real(self, *given, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    settings = SETTINGS.changed(learning_rate=0.2, warmup_share=0.3)
    history = train_arm(plan_of(settings), source_of()).history
    # 2/3 and 1 of the peak, then cosines of 0.5, 1.5 and 2.5 of the 3.5 steps that are left
    expected = [0.133333, 0.2, 0.190097, 0.122252, 0.037651]
    assert history["learning_rate"].tolist() == pytest.approx(expected, abs=1e-6)
    assert taken == [pytest.approx([rate, rate], abs=1e-6) for rate in expected]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"num_images": 40}, (5, 0.0, 3)),
        ({"num_images": 47, "warmup_share": 0.5}, (5, 2.5, 3)),
        ({"num_images": 40, "warmup_epochs": 0.5}, (5, 1.5, 3)),
        ({"num_images": 40, "warmup_epochs": 9.0}, (5, 5, 3)),  # no more than there are
        ({"epochs": 4.0, "warmup_epochs": 0.5}, (12, 1.5, 3)),
        ({"epochs": 4.0, "warmup_share": 0.25}, (12, 3.0, 3)),
        ({"epochs": 0.5}, (2, 0.0, 3)),
        ({"epochs": 0.01}, (1, 0.0, 3)),
    ],
)
def test_epochs_and_warm_up_follow_the_captions(given, expected):
    settings = TrainingSettings(batch=BatchSettings(captions=4, images_per_caption=2), **given)
    schedule = Schedule.of(settings, 15)  # three batches, and three captions that do not fill one
    assert (schedule.num_steps, schedule.warmup_steps, schedule.steps_per_epoch) == expected


def test_epochs_count_the_captions_that_an_arm_is_trained_on_and_are_told_before_the_start(caplog):
    """Four captions, two of them held out: a batch of two is an epoch."""
    batch = BatchSettings(captions=2, images_per_caption=2)
    settings = TrainingSettings(
        epochs=3.0, warmup_epochs=0.5, batch=batch, log_every=1, num_probe_captions=2, probe_every=1
    )
    with caplog.at_level(logging.INFO, logger="stablerep.training.loop"):
        history = train_arm(plan_of(settings), source_of()).history
    assert history["images"].tolist() == [4, 8, 12]
    assert caplog.messages[0] == (
        "arm: 2 captions, 4 views per step; 3 steps in 3 epochs of 1 steps; warm-up 0.5 steps, 0.5 epochs"
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, r"training\.epochs: got None beside training\.num_images = None; one of the two must be given"),
        ({"num_images": 8, "epochs": 1.0}, r"training\.epochs: got 1\.0 beside training\.num_images = 8"),
        (
            {"epochs": 1.0, "warmup_share": 0.1, "warmup_epochs": 0.1},
            r"training\.warmup_epochs: got 0\.1 beside training\.warmup_share = 0\.1",
        ),
        (
            {"epochs": 1.0, "warmup_epochs": 2.0},
            r"training\.warmup_epochs: got 2\.0; must be <= training\.epochs = 1\.0",
        ),
    ],
)
def test_two_lengths_of_a_training_or_none_are_refused(given, told):
    with pytest.raises(ConfigError, match=told):
        TrainingSettings(**given)


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
