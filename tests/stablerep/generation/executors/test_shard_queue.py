"""Shards are handed out until all are made, and again when they were lost."""

import pytest

from stablerep.errors import DataError, GeneratorError
from stablerep.generation.executors.shard_queue import ShardQueue
from stablerep.generation.image_sets.plan import ShardPlan

PLANS = [ShardPlan(name, []) for name in ("a", "b", "c")]


def test_each_shard_is_handed_out_once_in_order():
    queue = ShardQueue(PLANS, 1)
    assert [queue.take() for _ in range(4)] == [*PLANS, None]
    for plan in PLANS:
        assert queue.is_open
        queue.done(plan)
    assert not queue.is_open
    queue.close()


def test_a_lost_shard_is_the_next_one():
    queue = ShardQueue(PLANS, 1)
    lost = queue.take()
    queue.lost(lost, "a process", "less")
    assert queue.take() is lost


def test_retries_are_counted_for_each_shard():
    queue = ShardQueue(PLANS, 1)
    for _ in PLANS:
        plan = queue.take()
        queue.lost(plan, "a process", "less")
        queue.done(queue.take())
    queue.close()
    assert queue.num_done == 3


def test_after_the_last_retry_it_stops_and_waits_for_what_is_in_flight():
    queue = ShardQueue(PLANS, 1)
    first, second = queue.take(), queue.take()
    queue.lost(first, "a process", "less memory")
    queue.lost(queue.take(), "a process", "less memory")
    assert queue.take() is None
    assert queue.is_open
    queue.done(second)
    assert not queue.is_open
    told = r"a process died after 0 of 3 shards.*a was lost 2 times.*max_retries = 1.*with less memory if"
    with pytest.raises(GeneratorError, match=told):
        queue.close()


def test_a_shard_that_cannot_be_made_is_not_tried_again_and_the_first_error_counts():
    queue = ShardQueue(PLANS, 5)
    first, second = queue.take(), queue.take()
    queue.failed(first, DataError("the disk is full"))
    queue.failed(second, DataError("so is the other"))
    assert queue.take() is None and not queue.is_open
    with pytest.raises(DataError, match="the disk is full"):
        queue.close()
