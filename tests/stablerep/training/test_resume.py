"""A run that is killed goes on, and ends where an uninterrupted one ends."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stablerep.digit_scenes.scenes import draw_scenes_of_captions
from stablerep.errors import StoppedError, TrainingError
from stablerep.image_sets.source import ImageSource
from stablerep.methods.batch import BatchSettings
from stablerep.methods.stablerep import StableRep
from stablerep.models.settings import HeadSettings, TextSettings
from stablerep.storage.checkpoints import read_facts
from stablerep.storage.pixels import ImagesInMemory
from stablerep.training.arms import ArmPlan, train_arm
from stablerep.training.batches import GroupedSampler
from stablerep.training.checkpoint import Checkpoint, Progress
from stablerep.training.settings import TrainingSettings
from stablerep.training.stop import StopSignal
from stablerep.training.views import Augmentation

ENCODER = {"_target_": "stablerep.models.residual.ResidualEncoder", "channels": [8, 8], "map_channels": 4}
CLOCKED = ("images_per_second", "waited_s", "waited_share")
KILLED_AT = 20


def make_plan() -> ArmPlan:
    optimisation = TrainingSettings(
        num_images=240,
        batch=BatchSettings(captions=4, images_per_caption=2),
        log_every=1,
        checkpoint_every_s=0.0,
    )
    return ArmPlan(
        "arm", "stablerep", StableRep(images_per_caption=2), "drawn", ENCODER,
        HeadSettings(hidden_dim=16, out_dim=8),
        TextSettings(), optimisation, None, seed=0, num_threads=1,
    )  # fmt: skip


def make_source() -> ImageSource:
    texts = ("a red seven", "a nine", "a teal one", "a zero", "a two", "a four")
    scenes = draw_scenes_of_captions(list(texts), 3, "fit", 0)
    rows = torch.arange(len(texts)).repeat_interleave(3)
    return ImageSource("drawn", ImagesInMemory((scenes.images * 255).to(torch.uint8)), rows, texts)


def kept_seldom() -> TrainingSettings:
    return make_plan().optimisation.changed(checkpoint_every_s=1000.0)


def newest(work: Path, arm: str = "arm") -> Path:
    (path,) = (work / arm).glob("*.safetensors")
    return path


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
    assert read_facts(newest(work))["step"] == KILLED_AT - 1
    return work


@pytest.fixture(scope="module")
def whole():
    """What an uninterrupted run trains."""
    return train_arm(make_plan(), make_source())


def test_a_killed_run_goes_on_and_gives_the_weights_of_an_uninterrupted_one(killed, whole, tmp_path, caplog):
    shutil.copytree(killed / "arm", tmp_path / "arm")
    with caplog.at_level(logging.INFO):
        resumed = train_arm(make_plan(), make_source(), tmp_path)
    assert f"continues from step {KILLED_AT - 1} of 30" in caplog.text
    assert all(torch.equal(resumed.weights[k], whole.weights[k]) for k in whole.weights)
    columns = [name for name in whole.history if name not in CLOCKED]
    assert resumed.history[columns].equals(whole.history[columns])


@pytest.mark.parametrize("changed", ["seed", "images"])
def test_the_state_of_another_run_is_not_gone_on_with(killed, tmp_path, caplog, changed):
    shutil.copytree(killed / "arm", tmp_path / "arm")
    plan, source = make_plan(), make_source()
    if changed == "seed":
        plan = replace(plan, seed=1)
    else:
        source = replace(source, images=ImagesInMemory(255 - source.images.images))
    with caplog.at_level(logging.INFO):
        mine = train_arm(plan, source, tmp_path)
    assert "of another run; starting from the beginning" in caplog.text
    (aside,) = (tmp_path / "arm").glob("earlier-*")
    (state,) = aside.iterdir()
    assert state.read_bytes() == newest(killed).read_bytes()
    fresh = train_arm(plan, source)
    assert all(torch.equal(mine.weights[k], fresh.weights[k]) for k in fresh.weights)


def signal_at(step):
    """Asks this process to stop once it hears of a step."""

    def follow(row):
        if row["step"] == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return follow


def test_a_signal_keeps_the_state_and_the_next_run_ends_where_an_uninterrupted_one_does(tmp_path, whole):
    with pytest.raises(StoppedError, match=f"arm 'arm': stopped by a signal after step {KILLED_AT} of 30"):
        train_arm(make_plan(), make_source(), tmp_path, signal_at(KILLED_AT))
    assert read_facts(newest(tmp_path))["step"] == KILLED_AT
    resumed = train_arm(make_plan(), make_source(), tmp_path)
    assert all(torch.equal(resumed.weights[k], whole.weights[k]) for k in whole.weights)


def test_a_signal_to_the_whole_group_keeps_the_state_though_processes_decode(tmp_path):
    """As schedulers send it: processes that decode must not die of it before the training has stopped."""
    command = [sys.executable, __file__, str(tmp_path), "GROUP"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, start_new_session=True)
    assert f"StoppedError: arm 'arm': stopped by a signal after step {KILLED_AT} of 30" in done.stderr
    assert read_facts(newest(tmp_path))["step"] == KILLED_AT


def signal_at_the_end(row):
    if row["step"] == 30:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_in_the_last_step_ends_the_run_too(tmp_path):
    """The arms after it must not start; the arm itself is finished."""
    stop = StopSignal()
    with pytest.raises(StoppedError, match="after step 30 of 30"):
        train_arm(make_plan(), make_source(), tmp_path, signal_at_the_end, stop)
    assert stop.asked
    with pytest.raises(StoppedError, match="'next': stopped by a signal before it started"):
        train_arm(replace(make_plan(), name="next"), make_source(), tmp_path, stop=stop)
    assert not (tmp_path / "next").exists()
    resumed, whole = train_arm(make_plan(), make_source(), tmp_path), train_arm(make_plan(), make_source())
    assert all(torch.equal(resumed.weights[k], whole.weights[k]) for k in whole.weights)


def test_a_stop_signal_is_of_its_own_run():
    """A second run of the same process is not stopped by what stopped the first."""
    before = signal.getsignal(signal.SIGTERM)
    first, second = StopSignal(), StopSignal()
    with first:
        os.kill(os.getpid(), signal.SIGTERM)
    assert first.asked and not second.asked
    assert signal.getsignal(signal.SIGTERM) is before
    with second:
        pass
    assert not second.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_arm_that_is_finished_is_not_trained_again(tmp_path, monkeypatch):
    """A run that was stopped in a later arm goes on: the arms before cost it nothing."""
    first = train_arm(make_plan(), make_source(), tmp_path)
    monkeypatch.setattr(StableRep, "__call__", lambda *given: pytest.fail("must not take a step"))
    again = train_arm(make_plan(), make_source(), tmp_path)
    assert all(torch.equal(again.weights[k], first.weights[k]) for k in first.weights)
    assert again.history.equals(first.history)


@pytest.mark.parametrize(
    "changed",
    [
        {"num_workers": 1},
        {"cache_mib": 1.0},
        {"checkpoint_every_s": 9.0},
        {"checkpoint_every_steps": 7},
        {"num_checkpoints": 2},
    ],
)
def test_what_decides_no_weight_may_change_between_two_sittings(killed, tmp_path, caplog, changed):
    shutil.copytree(killed / "arm", tmp_path / "arm")
    plan = make_plan()
    with caplog.at_level(logging.INFO):
        train_arm(replace(plan, optimisation=plan.optimisation.changed(**changed)), make_source(), tmp_path)
    assert f"continues from step {KILLED_AT - 1} of 30" in caplog.text


def test_checkpoints_are_kept_at_multiples_of_a_number_of_steps_and_at_the_end(tmp_path):
    seldom = kept_seldom().changed(checkpoint_every_steps=7, num_checkpoints=10)
    train_arm(replace(make_plan(), optimisation=seldom), make_source(), tmp_path)
    names = [path.stem for path in (tmp_path / "arm").glob("step-*.safetensors")]
    assert sorted(names, key=lambda name: int(name[5:])) == [
        "step-7",
        "step-14",
        "step-21",
        "step-28",
        "step-30",
    ]


def test_a_damaged_file_has_the_run_go_on_from_the_one_before(tmp_path, caplog):
    plan = replace(make_plan(), optimisation=make_plan().optimisation.changed(num_checkpoints=2))
    whole = train_arm(plan, make_source(), tmp_path)
    last = tmp_path / "arm" / "step-30.safetensors"
    last.write_bytes(last.read_bytes()[:1000])
    with caplog.at_level(logging.INFO):
        again = train_arm(plan, make_source(), tmp_path)
    assert "step-30.safetensors: cannot be read" in caplog.text
    assert "continues from step 29 of 30" in caplog.text
    assert all(torch.equal(again.weights[k], whole.weights[k]) for k in whole.weights)


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_newest_file_costs_no_good_one(tmp_path, caplog, damage):
    folder = tmp_path / "arm"
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    checkpoint = Checkpoint(folder, "same", 0.0)
    checkpoint.keep(model, optimizer, Progress(step=50), {})
    if damage is None:  # of another program
        save_file({"a": torch.zeros(1)}, folder / "step-100.safetensors")
    else:
        (folder / "step-100.safetensors").write_bytes(damage)
    progress = checkpoint.restore(model, optimizer, {})
    assert progress.step == 50
    assert "step-100.safetensors: cannot be read" in caplog.text
    progress.step = 60
    checkpoint.keep(model, optimizer, progress, {})
    assert [path.name for path in checkpoint.files()] == ["step-60.safetensors"]
    assert checkpoint.restore(model, optimizer, {}).step == 60


def test_a_batch_that_is_not_finite_keeps_the_state_before_it(tmp_path, monkeypatch):
    plan = replace(make_plan(), optimisation=kept_seldom().changed(num_probe_captions=2))
    real, calls = Augmentation.forward, []

    def spoil(self, images):
        calls.append(1)
        return real(self, images) * (float("nan") if len(calls) == 6 else 1.0)

    monkeypatch.setattr(Augmentation, "forward", spoil)
    with pytest.raises(TrainingError, match=r"at step 5; must be finite.*step-5\.safetensors.*part-0\.json"):
        train_arm(plan, make_source(), tmp_path)
    told = json.loads((tmp_path / "arm/batch-of-step-5-part-0.json").read_text())
    # by what the images are called in the whole source, of which some captions are held out
    source = make_source()
    rows = [int(name.removeprefix("image ")) for name in told["images"]]
    assert len(rows) == 8
    assert set(told["captions"]) == {source.texts[source.caption_rows[row]] for row in rows}
    assert read_facts(newest(tmp_path))["step"] == 5
    # the statistics of BatchNorm and the random states too are those of before
    kept = load_file(newest(tmp_path))
    assert all(value.isfinite().all() for value in kept.values())
    monkeypatch.undo()
    resumed, whole = train_arm(plan, make_source(), tmp_path), train_arm(plan, make_source())
    assert all(torch.equal(resumed.weights[k], whole.weights[k]) for k in whole.weights)


def test_the_last_checkpoints_are_kept_and_no_more(tmp_path, monkeypatch):
    plan = replace(make_plan(), optimisation=make_plan().optimisation.changed(num_checkpoints=3))
    train_arm(plan, make_source(), tmp_path)
    names = sorted(path.name for path in (tmp_path / "arm").iterdir())
    assert names == [f"step-{step}.safetensors" for step in (28, 29, 30)]


def test_what_a_killed_save_left_is_removed_when_the_run_continues(killed, tmp_path):
    shutil.copytree(killed / "arm", tmp_path / "arm")
    leftovers = [tmp_path / "arm" / name for name in ("step-25.safetensors.partial", ".tmpAbC123")]
    for path in leftovers:
        path.write_bytes(b"half")
    train_arm(make_plan(), make_source(), tmp_path)
    assert not any(path.exists() for path in leftovers)


@pytest.mark.parametrize("first", [1, 2, 3, 7])
def test_the_sampler_begins_at_any_batch(first):
    sampler = GroupedSampler(make_source(), 4, 2, seed=0)
    batches = [batch for _, batch in zip(range(10), sampler.batches(), strict=False)]
    later = next(sampler.batches(first))
    assert torch.equal(later.image_rows, batches[first].image_rows)


class SignalGroupAtStep(logging.Handler):
    """Asks this process and those that decode for it to stop."""

    def emit(self, record: logging.LogRecord) -> None:
        if f"arm: {KILLED_AT * 8} of" in record.getMessage():
            os.killpg(os.getpgid(0), signal.SIGTERM)
            time.sleep(1)  # in which a process that decodes would die of it


if __name__ == "__main__":
    to_group = "GROUP" in sys.argv
    handler = SignalGroupAtStep() if to_group else KillAtStep()
    chosen = make_plan()
    if to_group:
        chosen = replace(chosen, optimisation=chosen.optimisation.changed(num_workers=1))
    logging.getLogger("stablerep.training.arms").addHandler(handler)
    logging.getLogger("stablerep.training.arms").setLevel(logging.INFO)
    train_arm(chosen, make_source(), Path(sys.argv[1]))
