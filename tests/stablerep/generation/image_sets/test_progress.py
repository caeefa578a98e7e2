"""What a process says while it draws, by a clock that the test sets."""

import logging

import pytest

from stablerep.generation.image_sets import progress
from stablerep.generation.image_sets.progress import Outlook, ShardProgress


class Clock:
    """A clock that stands still until a test sets it."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    caplog.set_level(logging.INFO)
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_the_first_batch_gives_the_forecast_of_all_processes(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    shard = ShardProgress("a.tar", 100, Outlook(1000, 4))
    clock.now = 20.0
    shard.add(10)
    # 1,000 images in four processes, each of which makes one image in two seconds
    assert lines(caplog) == [
        "a batch of 10 images took 20 s: about 8 min for the run's 1,000 images in 4 processes"
    ]
    clock.now = 40.0
    shard.add(10)
    assert len(lines(caplog)) == 1


def test_an_unknown_number_of_processes_counts_as_one(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    shard = ShardProgress("a.tar", 10, Outlook(10, None))
    clock.now = 5.0
    shard.add(5)
    assert lines(caplog) == [
        "a batch of 5 images took 5 s: about 10 s for the run's 10 images in one process"
    ]


def test_a_batch_during_which_the_network_is_compiled_gives_no_forecast(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outlook = Outlook(100, 1, num_skipped=1)
    shard = ShardProgress("a.tar", 100, outlook)
    clock.now = 50.0
    shard.add(10)
    assert lines(caplog) == ["a first batch of 10 images took 50 s, compiling included"]
    clock.now = 52.0
    shard.add(10)
    assert (
        lines(caplog)[-1] == "a batch of 10 images took 2 s: about 20 s for the run's 100 images in 1 process"
    )


def test_a_batch_of_many_minutes_is_reported_by_its_steps_with_a_forecast(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    shard = ShardProgress("a.tar", 10, Outlook(10, 1))
    for step in range(1, 11):
        clock.now = 100 + 40 * (step - 1)  # the first one compiles
        shard.add_step(step, 10, 2)
    forecast = "about 33 min for the run's 10 images in 1 process"  # 5 batches of 10 steps of 40 s
    assert lines(caplog) == [
        "a.tar: step 1 of 10 of a batch of 2 images",
        *(f"a.tar: step {step} of 10 of a batch of 2 images: {forecast}" for step in (3, 5, 7, 9)),
    ]


def test_short_steps_are_not_reported(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    shard = ShardProgress("a.tar", 10, Outlook(10, 1))
    for step in range(1, 11):
        clock.now += 1
        shard.add_step(step, 10, 2)
    assert lines(caplog) == []
