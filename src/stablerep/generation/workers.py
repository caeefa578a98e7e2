"""Makes the shards of a plan: here, or in processes of one share of the CPU's threads each.

A shard is the unit of work: it is drawn in batches of its own captions and appears when it is whole. So the
result does not depend on who makes it and when, and a process that dies costs its shard in flight.
"""

import logging
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stablerep.errors import GeneratorError
from stablerep.generation.generator import DiffusersGenerator
from stablerep.generation.plan import (
    CaptionPlan,
    ShardPlan,
    Wanted,
    make_image_entry,
    make_record,
)
from stablerep.generation.settings import GenerationSettings
from stablerep.processes import end_with_parent
from stablerep.shards import (
    SHARDS_FOLDER,
    Record,
    decode_image,
    digest_of,
    encode_image,
    member_name,
    read_members,
    write_shard,
)

logger = logging.getLogger(__name__)


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
    """

    name: str
    records: list[Record]
    num_images: int
    load_s: float


class ShardMaker:
    """Makes shards one after the other; loads the model when the first image is to be drawn."""

    def __init__(self, workshop: Workshop) -> None:
        """Remembers the workshop."""
        self.workshop = workshop
        self.generator: DiffusersGenerator | None = None

    def make(self, plan: ShardPlan) -> MadeShard:
        """Draws what is missing, takes the rest from where it lies, writes the shard."""
        shop = self.workshop
        images = self._read_kept(plan)
        rejected = {(c.caption_id, index) for c in plan.captions for index in c.rejected}
        truncated = {c.caption_id: bool(c.truncated) for c in plan.captions}
        requests = [request for caption in plan.captions for request in caption.requests()]
        if requests:
            if self.generator is None:
                self.generator = DiffusersGenerator(shop.folder, shop.settings)
            texts = {request.caption_id: request.text for request in requests}
            too_long = self.generator.truncated(list(texts.values()))
            truncated |= dict(zip(texts, too_long, strict=True))
            keys = iter((request.caption_id, request.index) for request in requests)
            for batch in self.generator.draw(requests, shop.wanted.seed):
                for image, unsafe, key in zip(batch.images, batch.unsafe, keys, strict=False):
                    if unsafe:
                        rejected.add(key)
                    else:
                        images[key] = encode_image(image)
        samples = [self._sample(c, images, rejected, truncated[c.caption_id]) for c in plan.captions]
        write_shard(shop.store / SHARDS_FOLDER / plan.name, samples)
        load_s = self.generator.load_s if self.generator is not None else 0.0
        return MadeShard(plan.name, [record for record, _ in samples], len(requests), load_s)

    def _read_kept(self, plan: ShardPlan) -> dict[tuple[str, int], bytes]:
        wanted: dict[str, dict[str, tuple[str, int]]] = {}
        for caption in plan.captions:
            for index, name in caption.kept.items():
                member = member_name(caption.caption_id, index)
                wanted.setdefault(name, {})[member] = (caption.caption_id, index)
        images: dict[tuple[str, int], bytes] = {}
        for name, keys in wanted.items():
            found = read_members(self.workshop.store / SHARDS_FOLDER / name, set(keys))
            images |= {keys[member]: data for member, data in found.items()}
        return images

    def _sample(
        self,
        caption: CaptionPlan,
        images: dict[tuple[str, int], bytes],
        rejected: set[tuple[str, int]],
        truncated: bool,
    ) -> tuple[Record, dict[int, bytes]]:
        indices = {*caption.kept, *caption.rejected, *caption.missing}
        unsafe = sorted(i for i in indices if (caption.caption_id, i) in rejected)
        own = {i: images[caption.caption_id, i] for i in sorted(indices - set(unsafe))}
        entries = []
        for index, data in own.items():
            _, height, width = decode_image(data).shape
            size = (width, height)
            entries.append(
                make_image_entry(caption.caption_id, self.workshop.wanted.seed, index, digest_of(data), size)
            )
        return make_record(caption, self.workshop.wanted, entries, unsafe, truncated), own


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
