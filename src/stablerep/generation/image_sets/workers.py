"""Makes shards one after another, in the process that an executor chooses."""

import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from stablerep.errors import DataError
from stablerep.generation.accounts.energy import gpu_energy_j
from stablerep.generation.diffusion.generator import DiffusersGenerator
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.generation.image_sets.assembly import Assembly
from stablerep.generation.image_sets.manifest import write_facts
from stablerep.generation.image_sets.plan import ShardPlan
from stablerep.generation.image_sets.progress import Outlook, ShardProgress
from stablerep.generation.image_sets.wanted import Wanted
from stablerep.storage.shards import SHARDS_FOLDER, Record, member_name, open_shard, read_members
from stablerep.storage.whole_files import PARTIAL_SUFFIX, sync_folder

MAX_PENDING_BATCHES = 2  # drawn and not yet written: the most that a slow disk may keep in memory


@dataclass(frozen=True)
class Workshop:
    """Where and how shards are made; the same in every process.

    Attributes:
        folder: of the model.
        settings: of the generation.
        wanted: what the images of the set have in common.
        store: the image set's folder.
        num_images: that the run draws, in all processes; for the forecast.
        num_processes: that draw them; None where it is not known.
        description: of what makes the images, file name -> content. It is written to the store when the
            first shard is drawn, before it gets its name: a model that cannot draw does not change the
            description of the images that are there, and a killed run leaves no images that a later release
            claims.
    """

    folder: Path
    settings: GeneratorSettings
    wanted: Wanted
    store: Path
    num_images: int = 0
    num_processes: int | None = None
    description: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def describe(self) -> None:
        """Writes the description.

        Raises:
            DataError: the disk refuses.
        """
        for name, facts in self.description.items():
            write_facts(self.store / name, facts)


@dataclass(frozen=True)
class MadeShard:
    """A shard that was written, under a name of its own.

    A worker that was given up, as its node could not be reached, may finish all the same. So no worker gives
    a shard its name: the driver does, for the one whose records it takes (`put_in_place`).

    Attributes:
        name: of its file in the end.
        written: name that its file has until then.
        records: of its samples.
        num_images: that were drawn for it.
        load_s: seconds that its process took to start and to load the model.
        gpu_energy_j: that the process's GPU used meanwhile, None if it is not measured.
    """

    name: str
    written: str
    records: list[Record]
    num_images: int
    load_s: float
    gpu_energy_j: float | None = None


def put_in_place(store: Path, made: MadeShard) -> None:
    """Gives a shard its name; what had that name is replaced.

    Raises:
        DataError: the disk refuses, or the shard is gone.
    """
    path = store / SHARDS_FOLDER / made.name
    try:
        path.with_name(made.written).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}). The shards that were finished are kept; "
            "fix the folder and run again."
        ) from error


class ShardMaker:
    """Makes shards one after another; loads the model when the first image must be drawn."""

    def __init__(self, workshop: Workshop, started: float | None = None) -> None:
        """Takes the workshop; loads nothing yet.

        Args:
            workshop: where and how.
            started: when its process was started, by this machine's monotonic clock; None for now.
        """
        self.workshop = workshop
        self.started = time.monotonic() if started is None else started
        self.load_s = 0.0
        self.generator: DiffusersGenerator | None = None
        num_skipped = 1 if workshop.settings.compile else 0
        self._outlook = Outlook(workshop.num_images, workshop.num_processes, num_skipped)

    def make(self, plan: ShardPlan) -> MadeShard:
        """Draws the missing images, reads the others from their files, writes the shard.

        A batch is encoded and written while the next is drawn.
        """
        shop, energy_before = self.workshop, gpu_energy_j()
        kept = self._read_kept(plan)
        truncated = {c.caption_id: bool(c.truncated) for c in plan.captions}
        requests = [request for caption in plan.captions for request in caption.requests()]
        if requests:
            if self.generator is None:
                self.generator = DiffusersGenerator(shop.folder, shop.settings)
                self.load_s = time.monotonic() - self.started
            texts = {request.caption_id: request.text for request in requests}
            too_long = self.generator.truncated(list(texts.values()))
            truncated |= dict(zip(texts, too_long, strict=True))
        # left behind, it is removed as every half-written file is
        written = f"{plan.name}.{uuid4().hex}{PARTIAL_SUFFIX}"
        with (
            open_shard(shop.store / SHARDS_FOLDER / written) as add,
            ThreadPoolExecutor(1) as writer,
        ):
            assembly = Assembly(plan, shop.wanted, kept, truncated, add)
            pending = deque([writer.submit(assembly.flush)])
            if self.generator is not None and requests:
                progress = ShardProgress(plan.name, len(requests), self._outlook)
                for batch in self.generator.draw(requests, shop.wanted.seed, progress.add_step):
                    progress.add(len(batch.images))
                    pending.append(writer.submit(assembly.take, batch))
                    while len(pending) > MAX_PENDING_BATCHES:
                        pending.popleft().result()
            for each in pending:
                each.result()
        energy = gpu_energy_j()
        taken = None if energy is None or energy_before is None else energy - energy_before
        return MadeShard(plan.name, written, assembly.records, len(requests), self.load_s, taken)

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
