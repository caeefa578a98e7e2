"""Processes of one machine: as many as are wanted, the same bytes, one shard for one death."""

import logging
import multiprocessing

import pytest
import torch

from stablerep.errors import ConfigError, GeneratorError
from stablerep.generation.executors.local import LocalExecutor
from stablerep.generation.executors.processes import Seat, threads_of_a_process
from stablerep.storage.shards import SHARDS_FOLDER

NUM_STEPS = 3  # of each of the five shards, which are one batch each, of 1 to 5 images


def test_processes_share_the_threads_of_the_cpu():
    executor = LocalExecutor(3)
    assert executor.seats() == [Seat(threads_of_a_process(3))] * 3
    assert executor.label == "3 processes"


def test_each_gpu_has_a_process_whatever_a_cpu_would_have(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    seats = LocalExecutor(2).seats()
    assert [seat.device for seat in seats] == [0, 1, 2, 3]
    assert {seat.num_threads for seat in seats} == {threads_of_a_process(4)}


@pytest.mark.parametrize(
    ("name", "value"), [("num_cpu_processes", 0), ("num_cpu_processes", 257), ("max_retries", -1)]
)
def test_a_setting_out_of_range_names_its_key(name, value):
    with pytest.raises(ConfigError, match=rf"executor\.{name}: got {value}; must be >="):
        LocalExecutor(**{name: value})


@pytest.mark.slow
def test_one_and_three_processes_make_the_same_bytes(make, texts, shards_of):
    one = make(texts, "one", LocalExecutor(1))
    three = make(texts, "three", LocalExecutor(3))
    assert three.ledger["num_made_images"] == 15
    assert threads_of_a_process(1) == threads_of_a_process(3)  # else pixels could be a level apart
    assert shards_of(three.store) == shards_of(one.store)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_process_that_dies_is_replaced_and_its_shard_alone_drawn_again(
    make, texts, shards_of, sampler, caplog
):
    one = make(texts, "one", LocalExecutor(1))
    assert sampler.steps() == dict.fromkeys(range(1, 6), NUM_STEPS)
    sampler.forget()
    sampler.kill(3)
    with caplog.at_level(logging.WARNING):
        two = make(texts, "two", LocalExecutor(2, max_retries=1))
    assert two.ledger["num_made_images"] == 15
    assert shards_of(two.store) == shards_of(one.store)
    # it died in its first step
    assert sampler.steps() == dict.fromkeys(range(1, 6), NUM_STEPS) | {3: NUM_STEPS + 1}
    assert len(sampler.processes()) == 3
    (told,) = [each for each in caplog.messages if "is made again" in each]
    assert "retry 1 of 1" in told
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_shard_that_kills_every_process_ends_it_and_finished_shards_are_kept(
    make, texts, shards_of, sampler, tmp_path
):
    sampler.kill(4, "always")
    with pytest.raises(GeneratorError, match=r"image.* was lost 2 times.*max_retries = 1.*are kept"):
        make(texts, "store", LocalExecutor(2, max_retries=1))
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "store" / SHARDS_FOLDER).iterdir()}
    # at least what was in flight beside it both times: that is waited for
    assert len(kept) >= 1
    assert multiprocessing.active_children() == []
    sampler.spare(4)
    sampler.forget()
    again = make(texts, "store", LocalExecutor(1))
    assert sum(sampler.steps().values()) == NUM_STEPS * (5 - len(kept))
    after = {path.name: path.stat().st_mtime_ns for path in (again.store / SHARDS_FOLDER).iterdir()}
    assert kept.items() <= after.items()
    assert shards_of(again.store) == shards_of(make(texts, "fresh", LocalExecutor(1)).store)


@pytest.mark.slow
def test_what_a_process_raises_is_raised_here_and_not_tried_again(make, texts, sampler):
    sampler.fail()
    with pytest.raises(GeneratorError, match="the model draws values that are not finite"):
        make(texts, "store", LocalExecutor(2))
    assert len(sampler.steps()) == 2  # the shards that were in flight
