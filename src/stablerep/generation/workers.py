"""Makes the shards of a plan: here, or in processes of one share of the CPU's threads each.

A shard is the unit of work: it is drawn in batches of its own captions and appears when it is whole. So the
result does not depend on who makes it and when, and a process that dies costs its shard in flight.
"""

import logging
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stablerep.errors import GeneratorError
from stablerep.generation.assembly import Assembly
from stablerep.generation.energy import gpu_energy_j
from stablerep.generation.generator import DiffusersGenerator
from stablerep.generation.plan import ShardPlan, Wanted
from stablerep.generation.settings import GenerationSettings
from stablerep.processes import end_with_parent
from stablerep.shards import SHARDS_FOLDER, Record, member_name, open_shard, read_members

logger = logging.getLogger(__name__)

MAX_PENDING_BATCHES = 2  # drawn and not yet written: what a slow disk may hold in memory


@dataclass(frozen=True)
class Workshop:
    """Where and how shards are made; the same in every process.

    Attributes:
        folder: of the model.
        settings: of the generation.
        wanted: what the image set is to be.
        store: the image set's folder.
    """

    folder: Path
    settings: GenerationSettings
    wanted: Wanted
    store: Path


@dataclass(frozen=True)
class MadeShard:
    """A shard that was written.

    Attributes:
        name: of its file.
        records: of its samples.
        num_images: that were drawn for it.
        load_s: seconds that loading the model took in the process that made it.
        gpu_energy_j: that the process's GPU took meanwhile, None where it does not tell.
    """

    name: str
    records: list[Record]
    num_images: int
    load_s: float
    gpu_energy_j: float | None = None


class ShardMaker:
    """Makes shards one after the other; loads the model when the first image is to be drawn."""

    def __init__(self, workshop: Workshop) -> None:
        """Remembers the workshop."""
        self.workshop = workshop
        self.generator: DiffusersGenerator | None = None

    def make(self, plan: ShardPlan) -> MadeShard:
        """Draws what is missing, takes the rest from where it lies, writes the shard.

        A batch is encoded and written while the next is drawn.
        """
        shop, energy_before = self.workshop, gpu_energy_j()
        kept = self._read_kept(plan)
        truncated = {c.caption_id: bool(c.truncated) for c in plan.captions}
        requests = [request for caption in plan.captions for request in caption.requests()]
        if requests:
            if self.generator is None:
                self.generator = DiffusersGenerator(shop.folder, shop.settings)
            texts = {request.caption_id: request.text for request in requests}
            too_long = self.generator.truncated(list(texts.values()))
            truncated |= dict(zip(texts, too_long, strict=True))
        with (
            open_shard(shop.store / SHARDS_FOLDER / plan.name) as add,
            ThreadPoolExecutor(1) as writer,
        ):
            assembly = Assembly(plan, shop.wanted, kept, truncated, add)
            pending = deque([writer.submit(assembly.flush)])
            if self.generator is not None and requests:
                for batch in self.generator.draw(requests, shop.wanted.seed):
                    pending.append(writer.submit(assembly.take, batch))
                    while len(pending) > MAX_PENDING_BATCHES:
                        pending.popleft().result()
            for each in pending:
                each.result()
        load_s = self.generator.load_s if self.generator is not None else 0.0
        energy = gpu_energy_j()
        taken = None if energy is None or energy_before is None else energy - energy_before
        return MadeShard(plan.name, assembly.records, len(requests), load_s, taken)

    def _read_kept(self, plan: ShardPlan) -> dict[tuple[str, int], bytes]:
        wanted: dict[Path, dict[str, tuple[str, int]]] = {}
        for caption in plan.captions:
            for index, path in caption.kept.items():
                member = member_name(caption.caption_id, index)
                wanted.setdefault(path, {})[member] = (caption.caption_id, index)
        images: dict[tuple[str, int], bytes] = {}
        for path, keys in wanted.items():
            images |= {keys[member]: data for member, data in read_members(path, set(keys)).items()}
        return images


def make_shards(workshop: Workshop, plans: Sequence[ShardPlan]) -> Iterator[MadeShard]:
    """Makes shards, as many at once as there are processes, and yields each when it is written.

    Args:
        workshop: where and how.
        plans: of the shards to write.

    Raises:
        GeneratorError: a process died, or the model cannot be used. What was yielded is on the disk.
    """
    # those that draw nothing need no model and no process
    light = [plan for plan in plans if not plan.num_missing]
    heavy = sorted((p for p in plans if p.num_missing), key=lambda p: (-p.num_missing, p.name))
    num = 1 if torch.cuda.is_available() else min(workshop.settings.num_processes, len(heavy))
    maker = ShardMaker(workshop)
    for plan in light:
        yield maker.make(plan)
    if num <= 1:
        with _share_of_threads(workshop.settings.num_processes):
            for plan in heavy:
                yield maker.make(plan)
    else:
        yield from _make_in_processes(workshop, heavy, num)


def _make_in_processes(workshop: Workshop, plans: list[ShardPlan], num: int) -> Iterator[MadeShard]:
    # spawn: a fork of a process that has used torch's threads hangs
    context = multiprocessing.get_context("spawn")
    threads = threads_of_a_process(workshop.settings.num_processes)
    pool = ProcessPoolExecutor(num, context, _start_worker, (workshop, threads))
    done = 0
    try:
        for future in as_completed([pool.submit(_make_in_worker, plan) for plan in plans]):
            made = future.result()
            done += 1
            yield made
    except BrokenProcessPool as error:
        raise GeneratorError(
            f"generation: a process died after {done} of {len(plans)} shards, perhaps for want of "
            "memory. The finished shards are kept: run again, with a smaller generation.batch_size or "
            "generation.num_processes if it dies again."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def threads_of_a_process(num_processes: int) -> int:
    """Returns the threads of each of so many processes.

    Follows from the setting, not from how many shards there are to make: a network rounds differently
    with another number of threads, and a resumed run is to draw what an uninterrupted one draws.
    """
    return max(1, torch.get_num_threads() // num_processes)


@contextmanager
def _share_of_threads(num_processes: int) -> Iterator[None]:
    before = torch.get_num_threads()
    if not torch.cuda.is_available():
        torch.set_num_threads(threads_of_a_process(num_processes))
    try:
        yield
    finally:
        torch.set_num_threads(before)


_state: dict[str, Any] = {}  # of a worker process: its ShardMaker


def _start_worker(workshop: Workshop, threads: int) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(threads)
    _state["maker"] = ShardMaker(workshop)
    end_with_parent()


def _make_in_worker(plan: ShardPlan) -> MadeShard:
    return _state["maker"].make(plan)
