"""The actors of one run: hired, handed shards, replaced when they die, dismissed."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stablerep.errors import GeneratorError
from stablerep.generation.executors.ray_worker import Expected, ShardWorker
from stablerep.generation.executors.shard_queue import ShardQueue
from stablerep.generation.image_sets.plan import ShardPlan
from stablerep.generation.image_sets.workers import MadeShard, Workshop

logger = logging.getLogger(__name__)

_LOOK_S = 5.0  # between looks at nodes that joined or left
_ADVICE = "a smaller generator.batch_size or fewer workers a node (executor.cpus_per_worker)"


@dataclass(frozen=True)
class Post:
    """What a worker takes of a node.

    Attributes:
        num_cpus: and threads.
        num_gpus: a share of one, or more.
    """

    num_cpus: int
    num_gpus: float

    def __str__(self) -> str:
        return f"a worker of {self.num_cpus} CPUs and {self.num_gpus:g} GPUs"

    def resources(self) -> dict[str, Any]:
        """Returns what `ray.remote` takes."""
        return {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus}

    def capacity(self, nodes: list[dict[str, Any]]) -> int:
        """Returns how many workers living nodes hold, as `ray.nodes` lists them."""
        return sum(self._on(node["Resources"]) for node in nodes if node["Alive"])

    def _on(self, resources: dict[str, float]) -> int:
        num = resources.get("CPU", 0) // self.num_cpus
        if self.num_gpus:
            num = min(num, resources.get("GPU", 0) // self.num_gpus)
        return int(num)


@dataclass
class _Member:
    """An actor.

    Attributes:
        handle: Ray's.
        place: node and process; empty until it has checked in.
        plan: of the shard that it makes.
    """

    handle: Any
    place: str = ""
    plan: ShardPlan | None = None


class Crew:
    """Keeps as many actors as are wanted and there is room for."""

    def __init__(
        self,
        ray: Any,
        post: Post,
        workshop: Workshop,
        expected: Expected,
        num_wanted: int | None,
    ) -> None:
        """Remembers; hires nobody yet.

        Args:
            ray: the module, connected.
            post: what each actor takes.
            workshop: where and how; absolute paths.
            expected: what each node must see and have.
            num_wanted: actors, or None for as many as the nodes hold.
        """
        self.ray = ray
        self.post = post
        self.workshop = workshop
        self.num_wanted = num_wanted
        self.members: list[_Member] = []
        self._busy: dict[Any, _Member] = {}  # what it promised -> who did
        self._expected = expected
        # restarts are ours: Ray's would come back without having checked in, and keep their shard waiting
        self._actor = ray.remote(max_restarts=0, max_task_retries=0, **post.resources())(ShardWorker)
        self._num_deaths_at_start = 0

    def work(self, queue: ShardQueue, max_wait_s: float) -> Iterator[MadeShard]:
        """Gives shards to actors as they get free, until the queue is closed; yields each that is written."""
        up_at = time.monotonic()
        while queue.is_open:
            self._hire(queue)
            done, _ = self.ray.wait(list(self._busy), num_returns=1, timeout=_LOOK_S)
            for promise in done:
                made = self._settle(queue, promise)
                # before the yield: nobody is to stand idle while the caller is at work
                self._assign_shards(queue)
                if made is not None:
                    yield made
            if any(member.place for member in self.members):
                up_at = time.monotonic()
            elif time.monotonic() - up_at > max_wait_s:
                queue.stop(
                    GeneratorError(
                        f"generation: no worker was up for {max_wait_s:.0f} s, after {queue.num_done} of "
                        f"{queue.num_shards} shards; must have room for {self.post}. The finished shards "
                        "are kept: add nodes and run again."
                    )
                )

    def dismiss(self) -> None:
        """Ends all actors."""
        for member in self.members:
            self.ray.kill(member.handle)
        self.members.clear()

    def _hire(self, queue: ShardQueue) -> None:
        room = self.num_wanted or self.post.capacity(self.ray.nodes())
        for _ in range(min(room, queue.num_waiting + len(queue.in_flight)) - len(self.members)):
            member = _Member(self._actor.remote(self.workshop, self.post.num_cpus))
            self.members.append(member)
            self._busy[member.handle.check_in.remote(self._expected)] = member

    def _assign_shards(self, queue: ShardQueue) -> None:
        for member in self.members:
            if member.place and member.plan is None and (plan := queue.take()) is not None:
                member.plan = plan
                self._busy[member.handle.make.remote(plan)] = member

    def _settle(self, queue: ShardQueue, promise: Any) -> MadeShard | None:
        """Takes what an actor gave; returns the shard, if it is one."""
        member = self._busy.pop(promise)
        plan, member.plan = member.plan, None
        try:
            answer = self.ray.get(promise)
        except self.ray.exceptions.RayTaskError as error:
            # what our own code raised there; Ray's wrapping would bury the message
            cause = error.cause if isinstance(error.cause, Exception) else error
            if plan is None:
                queue.stop(cause)
            else:
                queue.failed(plan, cause)
            return None
        except self.ray.exceptions.RayError as error:
            self._bury(queue, member, plan, error)
            return None
        if plan is None:
            member.place = answer
            self._num_deaths_at_start = 0
            logger.info("worker %d of %d is up: %s", self._num_up, len(self.members), answer)
            return None
        queue.done(plan)
        return answer

    @property
    def _num_up(self) -> int:
        return sum(bool(member.place) for member in self.members)

    def _bury(self, queue: ShardQueue, member: _Member, plan: ShardPlan | None, error: Exception) -> None:
        """Takes an actor off the list that Ray cannot reach any more."""
        # a node that is cut off may go on with the shard; its answer is not taken, so the shard gets no name
        self.ray.kill(member.handle)
        num_members = len(self.members)
        self.members.remove(member)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if plan is not None:
            logger.warning("worker lost (%s): %s", member.place, reason)
            queue.lost(plan, f"the worker {member.place}", _ADVICE)
            return
        logger.warning("a worker died before it was up: %s", reason)
        self._num_deaths_at_start += 1
        if self._num_deaths_at_start > num_members * (queue.max_retries + 1):
            queue.stop(
                GeneratorError(
                    f"generation: {self._num_deaths_at_start} workers died one after the other before they "
                    f"were up, the last with: {error} The finished shards are kept: see Ray's logs on the "
                    "nodes and run again."
                )
            )
