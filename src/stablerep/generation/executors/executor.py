"""What every executor does, and the part of a plan that needs none.

A shard is the unit of work: it is drawn in batches of its own captions and appears when it is whole and its
records are taken. So the result does not depend on who makes it and when, whoever dies costs the shard in
flight, and whoever was given up and finishes late changes nothing.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Protocol, runtime_checkable

from stablerep.generation.image_sets.plan import ShardPlan
from stablerep.generation.image_sets.workers import MadeShard, ShardMaker, Workshop, put_in_place


@runtime_checkable
class Executor(Protocol):
    """Makes shards, somewhere.

    Attributes:
        label: what the speed depends on, such as `2 processes`; forecasts are kept by it.
    """

    @property
    def label(self) -> str:
        """What the speed depends on."""

    def num_processes(self, num_shards: int) -> int | None:
        """Returns how many processes draw that many shards; None where it is not known before they start."""

    def software(self, here: dict[str, str]) -> dict[str, str]:
        """Returns the versions and the device that will draw.

        Args:
            here: those of this machine, as `software.describe_software` gives them.
        """

    def make(self, workshop: Workshop, plans: Sequence[ShardPlan]) -> Iterator[MadeShard]:
        """Makes shards and yields each when it is written; `make_shards` then gives it its name.

        Args:
            workshop: where and how.
            plans: of shards of which an image is missing, the largest first.

        Raises:
            GeneratorError: a shard was lost too often, or the model cannot be used. What was yielded is on
                the disk.
        """


def make_shards(workshop: Workshop, plans: Sequence[ShardPlan], executor: Executor) -> Iterator[MadeShard]:
    """Makes shards and yields each when it is written.

    Args:
        workshop: where and how.
        plans: of the shards to write.
        executor: makes those of which an image is missing.

    Raises:
        GeneratorError: a shard was lost too often, or the model cannot be used. What was yielded is on the
            disk.
    """
    # those that draw nothing need no model and no process
    light = [plan for plan in plans if not plan.num_missing]
    heavy = sorted((p for p in plans if p.num_missing), key=lambda p: (-p.num_missing, p.name))
    maker = ShardMaker(workshop)
    is_described = False
    for made in chain(map(maker.make, light), executor.make(workshop, heavy) if heavy else ()):
        if not is_described:  # before the first shard gets its name
            workshop.describe()
            is_described = True
        put_in_place(workshop.store, made)
        yield made
