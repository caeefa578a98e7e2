"""A run that is killed goes on, and ends where an uninterrupted one ends."""

import logging
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stablerep.checkpoints import read_facts
from stablerep.corpora.digit_scenes import draw_scenes_of_captions
from stablerep.losses.stablerep import StableRep
from stablerep.training.arms import ArmPlan, train_arm, train_arms
from stablerep.training.batches import GroupedSampler, ImageSource
from stablerep.training.settings import HeadSettings, OptimisationSettings, TextSettings

ENCODER = {"_target_": "stablerep.models.residual.ResidualEncoder", "channels": [8, 8], "map_channels": 4}
KILLED_AT = 20


def make_plan() -> ArmPlan:
    optimisation = OptimisationSettings(
        num_images=240, batch_size=8, log_every=1, num_processes=1, checkpoint_every_s=0.0
    )
    return ArmPlan(
        "arm", "stablerep", StableRep(images_per_caption=2), "drawn", ENCODER, HeadSettings(16, 8),
        TextSettings(), optimisation, None, seed=0, num_threads=1,
    )  # fmt: skip


def make_source() -> ImageSource:
    texts = ("a red seven", "a nine", "a teal one", "a zero", "a two", "a four")
    scenes = draw_scenes_of_captions(list(texts), 3, "fit", 0)
    rows = torch.arange(len(texts)).repeat_interleave(3)
    return ImageSource("drawn", (scenes.images * 255).to(torch.uint8), rows, texts)


class KillAtStep(logging.Handler):
    """Kills this process when the log tells of a step."""

    def emit(self, record: logging.LogRecord) -> None:
        if f"arm: {KILLED_AT * 8} of" in record.getMessage():
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """A work folder in which a run was killed."""
    work = tmp_path_factory.mktemp("killed")
    done = subprocess.run([sys.executable, __file__, str(work)], check=False)
    assert done.returncode == -signal.SIGKILL
    # the step that was told of had not been kept yet
    assert read_facts(work / "arm.safetensors")["step"] == KILLED_AT - 1
    return work


def test_a_killed_run_goes_on_and_gives_the_weights_of_an_uninterrupted_one(killed, tmp_path, caplog):
    path = tmp_path / "arm.safetensors"
    path.write_bytes((killed / "arm.safetensors").read_bytes())
    with caplog.at_level(logging.INFO):
        resumed = train_arm(make_plan(), make_source(), tmp_path)
    assert f"goes on from step {KILLED_AT - 1} of 30" in caplog.text
    whole = train_arm(make_plan(), make_source())
    assert all(torch.equal(resumed.weights[k], whole.weights[k]) for k in whole.weights)
    columns = [name for name in whole.history if name != "images_per_second"]
    assert resumed.history[columns].equals(whole.history[columns])


@pytest.mark.parametrize("changed", ["seed", "images"])
def test_the_state_of_another_run_is_not_gone_on_with(killed, tmp_path, caplog, changed):
    path = tmp_path / "arm.safetensors"
    path.write_bytes((killed / "arm.safetensors").read_bytes())
    plan, source = make_plan(), make_source()
    if changed == "seed":
        plan = replace(plan, seed=1)
    else:
        source = replace(source, images=255 - source.images)
    with caplog.at_level(logging.INFO):
        mine = train_arm(plan, source, tmp_path)
    assert "of another run; starts anew" in caplog.text
    fresh = train_arm(plan, source)
    assert all(torch.equal(mine.weights[k], fresh.weights[k]) for k in fresh.weights)


def test_checkpoints_are_removed_when_every_arm_is_trained(tmp_path):
    train_arms([make_plan()], {"drawn": make_source()}, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("first", [1, 2, 3, 7])
def test_the_sampler_begins_at_any_batch(first):
    sampler = GroupedSampler(make_source(), 4, 2, seed=0)
    batches = [batch for _, batch in zip(range(10), sampler.batches(), strict=False)]
    later = next(sampler.batches(first))
    assert torch.equal(later.image_rows, batches[first].image_rows)


if __name__ == "__main__":
    logging.getLogger("stablerep.training.arms").addHandler(KillAtStep())
    logging.getLogger("stablerep.training.arms").setLevel(logging.INFO)
    train_arm(make_plan(), make_source(), Path(sys.argv[1]))
