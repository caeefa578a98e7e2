"""Processes under `accelerate launch` make the bytes of one process, whatever dies."""

import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from stablerep.errors import ConfigError, GeneratorError
from stablerep.generation.executors.accelerate_launch import AccelerateExecutor
from stablerep.generation.executors.local import LocalExecutor

NUM_STEPS = 3  # of each of the five shards, which are one batch each, of 1 to 5 images


@pytest.mark.parametrize(("name", "value"), [("num_cpu_processes", 0), ("max_retries", -1)])
def test_a_setting_out_of_range_names_its_key(name, value):
    with pytest.raises(ConfigError, match=rf"executor\.{name}: got {value}; must be >="):
        AccelerateExecutor(**{name: value})


@pytest.mark.slow
def test_what_dies_while_drawing_costs_its_shard_under_accelerate_launch(make, texts, shards_of, sampler):
    one = make(texts, "one", LocalExecutor(1))
    sampler.forget()
    sampler.kill(3)
    two = make(texts, "two", AccelerateExecutor(2))
    assert two.ledger["num_made_images"] == 15
    assert shards_of(two.store) == shards_of(one.store)
    assert sampler.steps() == dict.fromkeys(range(1, 6), NUM_STEPS) | {3: NUM_STEPS + 1}
    assert len(sampler.processes()) == 3


def launched_in(folder):
    """Returns the ranks, which stand beside the launcher that starts them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text()
        except OSError:
            continue  # it has ended
        if "executors.launched" in command and "commands.launch" not in command and str(folder) in command:
            found.append(int(path.parent.name))
    return found


@pytest.mark.slow
def test_when_a_rank_dies_all_is_launched_again_and_what_is_finished_stays(
    make, texts, shards_of, sampler, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sampler.slowly(0.5)

    def kill_a_rank():
        while len(sampler.processes()) < 2:
            time.sleep(0.05)
        sampler.slowly(0.0)
        os.kill(launched_in(tmp_path)[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_a_rank, daemon=True)
    killer.start()
    made = make(texts, "two", AccelerateExecutor(2))
    killer.join(10)
    assert "accelerate launch ended" in caplog.text
    assert made.ledger["num_made_images"] == 15
    assert shards_of(made.store) == shards_of(make(texts, "one", LocalExecutor(1)).store)


@pytest.mark.slow
def test_what_a_launched_process_raises_is_raised_here(make, texts, sampler):
    sampler.fail()
    with pytest.raises(GeneratorError, match="the model draws values that are not finite"):
        make(texts, "store", AccelerateExecutor(2))
