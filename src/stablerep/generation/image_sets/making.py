"""Carries out the plan of an image set: has an executor make the shards that are missing or incomplete."""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stablerep.generation.accounts.energy import processor_counters_j, processor_energy_j
from stablerep.generation.accounts.ledger import Ledger, duration
from stablerep.generation.executors.executor import Executor, make_shards
from stablerep.generation.image_sets.plan import ImageSetPlan
from stablerep.generation.image_sets.workers import MadeShard, Workshop
from stablerep.storage.shards import SHARDS_FOLDER, Record
from stablerep.storage.whole_files import PARTIAL_SUFFIX

logger = logging.getLogger(__name__)


@dataclass
class Made:
    """The image set after a plan was carried out, and what the run drew for it.

    Attributes:
        records: shard name -> records of its samples, kept and made.
        num_images: that were drawn.
        seconds: from the first shard's start to the last one's end.
        load_s: seconds that the slowest process took to start and to load the model.
        gpu_energy_j: None if no process measured it.
        processor_energy_j: None if the machine does not measure it.
    """

    records: dict[str, list[Record]] = field(default_factory=dict)
    num_images: int = 0
    seconds: float = 0.0
    load_s: float = 0.0
    gpu_energy_j: float | None = None
    processor_energy_j: float | None = None

    def add(self, shard: MadeShard, seconds: float) -> None:
        """Adds a shard that was written, `seconds` after the start."""
        self.records[shard.name] = shard.records
        self.num_images += shard.num_images
        self.load_s = max(self.load_s, shard.load_s)
        self.seconds = seconds
        if shard.gpu_energy_j is not None:
            self.gpu_energy_j = (self.gpu_energy_j or 0.0) + shard.gpu_energy_j

    def spent(self, seconds: float, ledger: Ledger) -> dict[str, Any]:
        """Returns the argument of `Ledger.count`, for a run that has taken `seconds` so far."""
        return {
            "num_made_images": self.num_images,
            "seconds": round(seconds, 3),
            "gpu_energy_j": self.gpu_energy_j,
            "processor_energy_j": self.processor_energy_j,
            "price": ledger.price(seconds),
        }

    def rate(self) -> dict[str, float]:
        """Returns seconds before the first image, and images per second from then on."""
        rate = self.num_images / max(1e-3, self.seconds - self.load_s)
        # four significant figures: a slow model draws an image in minutes
        return {"start_s": round(self.load_s, 2), "images_per_second": float(f"{rate:.4g}")}

    def outlook(self, num_images: int, ledger: Ledger) -> str:
        """Returns the rate and the time left of `num_images`, for the log; empty before the first image."""
        if not self.num_images:
            return ""
        rate = self.num_images / max(1e-6, self.seconds)
        left, whole = (
            duration((num_images - self.num_images) / rate),
            ledger.duration_and_price(num_images / rate),
        )
        return f", {rate:.1f} images/s, about {left} left of {whole}"


def carry_out(
    plan: ImageSetPlan, workshop: Workshop, executor: Executor, ledger: Ledger, key: str, run_started: float
) -> Made:
    """Makes the shards that the plan asks for; half-written files are removed, also after a failure.

    Each shard is counted in the ledger when it is written.

    Args:
        plan: of the image set.
        workshop: where and how shards are made.
        executor: draws what is missing.
        ledger: of the set; `Ledger.begin` was called.
        key: of the rate in the ledger.
        run_started: when the run started, by this machine's monotonic clock.

    Raises:
        GeneratorError: see `make_shards`; the shards that were made are on the disk.
        DataError: the disk refuses.
    """
    for path in plan.stale:
        if path.name.endswith(PARTIAL_SUFFIX):
            path.unlink()
    _remove_unfinished(workshop)
    to_write = [shard for shard in plan.shards if shard.records is None]
    made = Made({shard.name: shard.records for shard in plan.shards if shard.records is not None})
    started, counters = time.monotonic(), processor_counters_j()
    try:
        for number, shard in enumerate(make_shards(workshop, to_write, executor), 1):
            made.add(shard, time.monotonic() - started)
            if shard.num_images:
                spent = made.spent(time.monotonic() - run_started, ledger)
                ledger.count(key, plan.wanted.generator_id, spent, made.rate(), shard.name)
            logger.info(
                "shard %d of %d written: %d of %d images%s",
                number, len(to_write), made.num_images, plan.num_images_to_make,
                made.outlook(plan.num_images_to_make, ledger),
            )  # fmt: skip
    finally:
        _remove_unfinished(workshop)
    made.processor_energy_j = processor_energy_j(counters, processor_counters_j())
    return made


def prune(plan: ImageSetPlan, store: Path) -> None:
    """Removes shards that are not part of the set; after `carry_out`, which may read them."""
    for path in plan.stale:
        path.unlink(missing_ok=True)
    stray = sorted({path.name for path in (store / SHARDS_FOLDER).iterdir()} - {s.name for s in plan.shards})
    if stray:
        logger.warning("%s: left alone, not shards: %s", store / SHARDS_FOLDER, ", ".join(stray[:5]))


def _remove_unfinished(workshop: Workshop) -> None:
    """Removes the files that processes were writing when they died."""
    store = workshop.store
    patterns = [f"{SHARDS_FOLDER}/*", *(f"{name}.*" for name in workshop.description)]
    for path in (each for pattern in patterns for each in store.glob(pattern + PARTIAL_SUFFIX)):
        path.unlink(missing_ok=True)
