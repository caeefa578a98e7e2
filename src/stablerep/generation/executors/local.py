"""Makes shards on this machine: one process a GPU, or processes that share the CPU's threads."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from stablerep.errors import check_range
from stablerep.generation.executors.processes import Seat, make_in_processes, threads_of_a_process
from stablerep.generation.image_sets.plan import ShardPlan
from stablerep.generation.image_sets.workers import MadeShard, ShardMaker, Workshop

_WHERE = "conf/params/executor/local.yaml"


class LocalExecutor:
    """The processes of this machine."""

    def __init__(self, num_cpu_processes: int = 1, max_retries: int = 2) -> None:
        """Checks ranges.

        Args:
            num_cpu_processes: where there is no GPU; they share the CPU's threads. With GPUs it is one
                process for each that is visible: CUDA_VISIBLE_DEVICES leaves some to others.
            max_retries: times that a shard is made again whose process died.

        Raises:
            ConfigError: a value is out of range.
        """
        check_range("executor.num_cpu_processes", num_cpu_processes, 1, 256, where=_WHERE)
        check_range("executor.max_retries", max_retries, 0, 1000, where=_WHERE)
        self.num_cpu_processes = num_cpu_processes
        self.max_retries = max_retries

    @property
    def label(self) -> str:
        """What the speed depends on."""
        return f"{len(self.seats())} processes"

    def num_processes(self, num_shards: int) -> int:
        """Returns how many processes draw that many shards."""
        return min(len(self.seats()), num_shards)

    def software(self, here: dict[str, str]) -> dict[str, str]:
        """Returns what is here: it is this machine that draws."""
        return here

    def seats(self) -> list[Seat]:
        """Returns what each process may use, for as many as there may be."""
        num_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
        threads = threads_of_a_process(num_devices or self.num_cpu_processes)
        if num_devices:
            return [Seat(threads, device) for device in range(num_devices)]
        return [Seat(threads)] * self.num_cpu_processes

    def make(self, workshop: Workshop, plans: Sequence[ShardPlan]) -> Iterator[MadeShard]:
        """Makes shards, in this process where one is enough, and yields each when it is written.

        Args:
            workshop: where and how.
            plans: of the shards, the largest first.

        Raises:
            GeneratorError: a shard was lost too often, or the model cannot be used. What was yielded is on
                the disk.
        """
        seats = self.seats()
        if min(len(seats), len(plans)) > 1:
            yield from make_in_processes(workshop, plans, seats, self.max_retries)
            return
        maker = ShardMaker(workshop)
        with _threads(seats[0].num_threads):
            for plan in plans:
                yield maker.make(plan)


@contextmanager
def _threads(num: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(num)
    try:
        yield
    finally:
        torch.set_num_threads(before)
