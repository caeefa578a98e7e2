"""The shards that are still to be made, how often each was lost, and why to stop."""

import logging
from collections import Counter, deque
from collections.abc import Sequence

from stablerep.errors import GeneratorError
from stablerep.generation.image_sets.plan import ShardPlan

logger = logging.getLogger(__name__)


class ShardQueue:
    """Gives out shards until all are made or there is a reason to stop.

    After a fault nothing more is given out, but what is in flight is waited for: at the size of the paper's
    set a shard is hours of a GPU.
    """

    def __init__(self, plans: Sequence[ShardPlan], max_retries: int) -> None:
        """Starts with all shards waiting.

        Args:
            plans: of the shards, given out in this order.
            max_retries: times that one shard is given out again after it was lost.
        """
        self.max_retries = max_retries
        self.num_shards = len(plans)
        self.num_done = 0
        self.in_flight: set[str] = set()
        self.fault: Exception | None = None
        self._waiting = deque(plans)
        self._losses: Counter[str] = Counter()

    @property
    def num_waiting(self) -> int:
        """Shards that may be given out."""
        return 0 if self.fault is not None else len(self._waiting)

    @property
    def is_open(self) -> bool:
        """Whether there is anything to give out or to wait for."""
        return bool(self.in_flight) or self.num_waiting > 0

    def take(self) -> ShardPlan | None:
        """Gives out a shard, or None where there is none."""
        if not self.num_waiting:
            return None
        plan = self._waiting.popleft()
        self.in_flight.add(plan.name)
        return plan

    def done(self, plan: ShardPlan) -> None:
        """Notes that a shard is written."""
        self.in_flight.remove(plan.name)
        self.num_done += 1

    def lost(self, plan: ShardPlan, what: str, advice: str) -> None:
        """Gives out a shard again whose worker died, unless it was lost too often.

        Args:
            plan: of the shard.
            what: died, such as `a process`.
            advice: for the error.
        """
        self.in_flight.remove(plan.name)
        self._losses[plan.name] += 1
        if self._losses[plan.name] <= self.max_retries:
            logger.warning(
                "%s died: %s is made again (retry %d of %d), nothing else was lost",
                what, plan.name, self._losses[plan.name], self.max_retries,
            )  # fmt: skip
            self._waiting.appendleft(plan)
            return
        self.stop(
            GeneratorError(
                f"generation: {what} died after {self.num_done} of {self.num_shards} shards, perhaps for "
                f"want of memory; {plan.name} was lost {self._losses[plan.name]} times, which is more than "
                f"executor.max_retries = {self.max_retries}. The finished shards are kept: run again, with "
                f"{advice} if it dies again."
            )
        )

    def failed(self, plan: ShardPlan, error: Exception) -> None:
        """Notes that a shard cannot be made: trying again would end alike."""
        self.in_flight.remove(plan.name)
        self.stop(error)

    def stop(self, error: Exception) -> None:
        """Gives out nothing more; the first error counts."""
        if self.fault is None:
            self.fault = error
            if self.in_flight:
                logger.error("%s", error)
                logger.warning("waiting for %d shards in flight, then stopping", len(self.in_flight))

    def close(self) -> None:
        """Raises what stopped it, if anything did."""
        if self.fault is not None:
            raise self.fault
