"""Who is hired and who is given up, against a Ray of the imagination: real ones take minutes to misbehave."""

import itertools
from types import SimpleNamespace

import pytest

from stablerep.errors import GeneratorError
from stablerep.generation.executors import ray_crew
from stablerep.generation.executors.ray_crew import Crew, Post
from stablerep.generation.executors.shard_queue import ShardQueue
from stablerep.generation.image_sets.plan import ShardPlan

PLANS = [ShardPlan(name, []) for name in "abcdef"]


class RayError(Exception):
    """As Ray's: an actor cannot be reached."""


class RayTaskError(RayError):
    """As Ray's: what an actor raised."""


class FakeRay:
    """Keeps promises in order; `answer(actor, what, plan)` says what comes of one, or raises."""

    def __init__(self, answer, rooms):
        self.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        self._answer = answer
        self._rooms = iter(rooms)
        self._numbers = itertools.count()
        self.hired, self.killed = [], []

    def remote(self, **options):
        return lambda kind: SimpleNamespace(remote=self._hire)

    def _hire(self, *args):
        number = next(self._numbers)
        self.hired.append(number)

        def promise(what):
            return SimpleNamespace(remote=lambda plan: (number, what, getattr(plan, "name", "")))

        return SimpleNamespace(number=number, check_in=promise("check_in"), make=promise("make"))

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": next(self._rooms)}}]

    def wait(self, promises, num_returns, timeout):
        ready = [each for each in promises if self._answer(*each) != "never"]
        return ready[:1], promises

    def get(self, promise):
        answer = self._answer(*promise)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, handle):
        self.killed.append(handle.number)


def work(ray, queue, num_wanted=None, max_wait_s=60.0):
    crew = Crew(ray, Post(1, 0.0), None, None, num_wanted)
    made = list(crew.work(queue, max_wait_s))
    crew.dismiss()
    queue.close()
    return made


def obedient(actor, what, plan):
    return f"node-{actor}" if what == "check_in" else plan


def test_every_shard_is_made_and_everybody_dismissed():
    ray = FakeRay(obedient, itertools.repeat(2))
    assert sorted(work(ray, ShardQueue(PLANS, 0))) == list("abcdef")
    assert ray.hired == sorted(ray.killed) == [0, 1]


def test_no_more_are_hired_than_wanted_or_than_there_are_shards():
    wanted, few = FakeRay(obedient, itertools.repeat(9)), FakeRay(obedient, itertools.repeat(9))
    work(wanted, ShardQueue(PLANS, 0), num_wanted=3)
    work(few, ShardQueue(PLANS[:2], 0))
    assert len(wanted.hired) == 3 and len(few.hired) == 2


def test_nodes_that_join_later_are_used():
    ray = FakeRay(obedient, itertools.chain([1, 1, 1], itertools.repeat(4)))
    work(ray, ShardQueue(PLANS, 0))
    assert len(ray.hired) == 4


def test_who_dies_is_buried_and_replaced_and_the_shard_goes_to_another():
    def first_dies_at_work(actor, what, plan):
        return (
            RayError("the node died\nand more")
            if (actor, what) == (0, "make")
            else obedient(actor, what, plan)
        )

    ray = FakeRay(first_dies_at_work, itertools.repeat(1))
    queue = ShardQueue(PLANS, 1)
    assert work(ray, queue) == list("abcdef")
    assert ray.hired == ray.killed == [0, 1]


def test_workers_that_die_before_they_are_up_end_it_after_the_retries():
    ray = FakeRay(lambda actor, what, plan: RayError("no such library"), itertools.repeat(2))
    told = r"5 workers died one after the other before they were up, the last with: no such library"
    with pytest.raises(GeneratorError, match=told):
        work(ray, ShardQueue(PLANS, 1))


def test_without_any_worker_for_too_long_it_ends(monkeypatch):
    clock = itertools.count(step=10)
    monkeypatch.setattr(ray_crew.time, "monotonic", lambda: next(clock))
    ray = FakeRay(lambda *promise: "never", itertools.repeat(2))
    with pytest.raises(GeneratorError, match=r"no worker was up for 60 s, after 0 of 6 shards.*are kept"):
        work(ray, ShardQueue(PLANS, 1))


def test_what_a_worker_raises_is_told_without_rays_wrapping():
    def cannot(actor, what, plan):
        error = RayTaskError("ray::ShardWorker.make() (pid=1)")
        error.cause = GeneratorError("the model gives values that are not finite")
        return error if what == "make" else obedient(actor, what, plan)

    with pytest.raises(GeneratorError, match="^the model gives values that are not finite$"):
        work(FakeRay(cannot, itertools.repeat(2)), ShardQueue(PLANS, 5))
