"""Processes of this machine that make shards; one that dies is replaced and its shard made again.

Not concurrent.futures: its pool breaks as a whole when a process dies and does not say which shards were
in flight.
"""

import multiprocessing
import os
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import torch

from stablerep.errors import StableRepError
from stablerep.generation.executors.shard_queue import ShardQueue
from stablerep.generation.image_sets.plan import ShardPlan
from stablerep.generation.image_sets.workers import MadeShard, ShardMaker, Workshop
from stablerep.processes import end_with_parent, log_to_terminal

_ADVICE = "a smaller generator.batch_size or executor.num_cpu_processes"


@dataclass(frozen=True)
class Seat:
    """What a process may use.

    Attributes:
        num_threads: of the CPU.
        device: index of its GPU, or None for none of its own.
    """

    num_threads: int
    device: int | None = None


class _Worker:
    """A process on its seat, and the shard that it makes."""

    def __init__(self, workshop: Workshop, seat: Seat) -> None:
        self.seat = seat
        self.plan: ShardPlan | None = None
        # spawn: a fork of a process that has used torch's threads hangs
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_serve, args=(theirs, workshop, seat, time.monotonic()), daemon=True
        )
        self.process.start()
        # ours must be the only end that is left, or its death would not close the pipe
        theirs.close()

    def start(self, plan: ShardPlan) -> None:
        """Has it make a shard."""
        self.plan = plan
        with suppress(OSError):  # it is dead: waiting for its answer tells
            self.connection.send(plan)

    def answer(self) -> MadeShard | Exception | None:
        """Returns what became of the shard; None where the process died."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def end(self) -> None:
        """Lets an idle process go, ends one that is at work."""
        self.connection.close()
        if self.plan is not None:
            self.process.terminate()
        self.process.join()


def make_in_processes(
    workshop: Workshop, plans: Sequence[ShardPlan], seats: Sequence[Seat], max_retries: int
) -> Iterator[MadeShard]:
    """Makes shards in one process a seat and yields each when it is written.

    Args:
        workshop: where and how.
        plans: of the shards, begun in this order.
        seats: of the processes; no more are started than there are shards.
        max_retries: times that a shard is made again whose process died.

    Raises:
        GeneratorError: a shard was lost too often, or the model cannot be used.
    """
    queue = ShardQueue(plans, max_retries)
    workers = [_Worker(workshop, seat) for seat in seats[: len(plans)]]
    try:
        _assign_shards(queue, workers)
        while queue.is_open:
            busy: dict[Any, _Worker] = {each.connection: each for each in workers if each.plan is not None}
            for connection in wait(list(busy)):
                worker = busy[connection]
                answer = worker.answer()
                made = _settle(queue, worker, answer)
                if answer is None:
                    workers.remove(worker)
                    worker.end()
                    if queue.num_waiting:
                        workers.append(_Worker(workshop, worker.seat))
                # before the yield: nobody is to stand idle while the caller is at work
                _assign_shards(queue, workers)
                if made is not None:
                    yield made
    finally:
        for worker in workers:
            worker.end()
    queue.close()


def _assign_shards(queue: ShardQueue, workers: list[_Worker]) -> None:
    for worker in workers:
        if worker.plan is None and (plan := queue.take()) is not None:
            worker.start(plan)


def _settle(queue: ShardQueue, worker: _Worker, answer: MadeShard | Exception | None) -> MadeShard | None:
    """Tells the queue what became of a worker's shard."""
    plan, worker.plan = worker.plan, None
    assert plan is not None  # noqa: S101 -- only the busy are waited for
    if answer is None:
        queue.lost(plan, f"process {worker.process.pid}", _ADVICE)
    elif isinstance(answer, Exception):
        queue.failed(plan, answer)
    else:
        queue.done(plan)
        return answer
    return None


def threads_of_a_process(num_processes: int) -> int:
    """Returns how many threads each process may use.

    Follows from the setting, not from how many shards there are to make: a network rounds differently
    with another number of threads, and a resumed run is to draw what an uninterrupted one draws.
    """
    return max(1, torch.get_num_threads() // num_processes)


def _serve(connection: Connection, workshop: Workshop, seat: Seat, started: float) -> None:
    """Makes shards in a process of its own until the pipe is closed."""
    end_with_parent()
    log_to_terminal()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(seat.num_threads)
    if seat.device is not None:
        torch.cuda.set_device(seat.device)  # "cuda" without a number is this one from now on
    maker = ShardMaker(workshop, started)
    while True:
        try:
            plan = connection.recv()
        except EOFError:
            return
        answer: MadeShard | Exception
        try:
            answer = maker.make(plan)
        except Exception as error:
            answer = error
            if not isinstance(error, StableRepError):  # whose message stands on its own
                error.add_note("".join(traceback.format_exception(error)))
        connection.send(answer)
