"""Brings an image set to what is wanted: makes what is missing, keeps the rest, removes what must leave."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.curation.people.takedowns import CAPTION, SOURCE, no_takedowns, taken_down
from stablerep.generation.accounts.ledger import Ledger
from stablerep.generation.accounts.software import (
    SOFTWARE_FILE,
    describe_software,
    is_cpu,
    read_software,
    software_of_plan,
)
from stablerep.generation.diffusion.identity import check_not_taken_down
from stablerep.generation.diffusion.on_a_cpu import slow_on_a_cpu
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.generation.executors.executor import Executor
from stablerep.generation.executors.local import LocalExecutor
from stablerep.generation.image_sets.cache import SampleCache
from stablerep.generation.image_sets.generator_file import (
    GENERATOR_FILE,
    earlier_generators,
    read_generators,
)
from stablerep.generation.image_sets.lending import LendingSet
from stablerep.generation.image_sets.making import Made, carry_out, prune
from stablerep.generation.image_sets.manifest import MANIFEST_FILE, make_manifest, write_facts, write_manifest
from stablerep.generation.image_sets.noise_of_set import describe_with_each_noise, noise_of_set
from stablerep.generation.image_sets.plan import ImageSetPlan, StoredSet, plan_image_set
from stablerep.generation.image_sets.wanted import Wanted, distinct_captions, without_taken_down
from stablerep.generation.image_sets.workers import Workshop
from stablerep.storage.shards import REJECTED_UNSAFE, image_id_of

logger = logging.getLogger(__name__)

_NUM_FAULTS_SHOWN = 5


@dataclass(frozen=True, eq=False)
class ImageSetRequest:
    """The image set that is asked for.

    Attributes:
        captions: rows with `caption_id`, `text` and, if known, `source` and `licence`; equal captions count
            once.
        settings: how to draw.
        model_folder: the text-to-image model, in diffusers' format.
        store: the image set's folder. Shards under `shards/`, beside them `manifest.parquet`,
            `generator.json` (what made the images) and `software.json` (with which versions).
        seed: of the image set.
        takedowns: as `curation.people.takedowns.read_takedowns` returns them. Curation has dropped their
            captions already; here they matter if the caption set is older than the takedown.
        executor: draws what is missing; by default this process.
        further: image indices of captions beyond `images_per_caption`, by caption id.
        keeps_spare: whether intact images of other indices stay; see `stablerep.alignment.remake`.
        lenders: folders of other image sets; images that they have are copied instead of drawn.
    """

    captions: pd.DataFrame
    settings: GeneratorSettings
    model_folder: Path
    store: Path
    seed: int
    takedowns: pd.DataFrame = field(default_factory=no_takedowns)
    executor: Executor = field(default_factory=LocalExecutor)
    further: Mapping[str, Sequence[int]] = field(default_factory=dict)
    keeps_spare: bool = False
    lenders: Sequence[Path] = ()

    def wanted(self, generator_id: str) -> Wanted:
        """Returns what the images of the set have in common."""
        settings = self.settings
        return Wanted(
            generator_id, self.seed, settings.images_per_caption, settings.num_shards, settings.noise,
            self.further, self.keeps_spare,
        )  # fmt: skip


def make_image_set(request: ImageSetRequest) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Makes the images of captions, only those that are not there and intact.

    Shards are written one by one, each whole: after a kill at any moment the next call continues, and the
    result is that of an uninterrupted one, byte for byte on one machine.

    Returns:
        The manifest, one row per image, by caption id and index; an image that the safety checker blanked has
        the state `rejected_unsafe`, no digest and no size, because it is not stored. Its `attrs["ledger"]`
        says what the generator's images cost in all runs. And the ledger of this call: `num_captions`,
        `num_kept`, `num_from_cache`, `num_made_captions`, `num_made_images`, `num_dropped`, `num_truncated`
        and `num_rejected_unsafe` (of the whole set), `seconds`, `images_per_second`, `gpu_energy_j`,
        `processor_energy_j` and `price` (None if not known), `generator_id`.

    Raises:
        DataError: no captions, or the disk refuses.
        GeneratorError: the model is missing, incomplete or of a family that cannot be used, was taken
            down, or a process died.
    """
    run = _Run(request)
    run.prepare()
    made = carry_out(run.plan, run.workshop, request.executor, run.ledger, run.rate_key, run.started)
    manifest = run.close(made)
    return manifest, run.account(made, manifest)


class _Run:
    """One call of `make_image_set`: planned when it is created, then prepared, carried out and closed."""

    def __init__(self, request: ImageSetRequest) -> None:
        self.started = time.monotonic()
        self.store = request.store
        captions = distinct_captions(request.captions)
        described = describe_with_each_noise(Path(request.model_folder), request.settings)
        self.cache = SampleCache(self.store, round(request.settings.cache_mib * 2**20))
        for each in described.values():  # another noise does not undo a takedown
            check_not_taken_down(each, request.takedowns)
        captions = without_taken_down(captions, request.takedowns)
        self.cache.forget_taken_down(request.takedowns)
        stored = StoredSet(self.store, request.settings.num_shards)
        ids = {noise: each["generator_id"] for noise, each in described.items()}
        noise = noise_of_set(request.settings, ids, request.seed, stored, self.cache)
        self.request = request = replace(request, settings=request.settings.changed(noise=noise))
        self.generator = described[noise]
        wanted = request.wanted(ids[noise])
        lenders = [LendingSet(each) for each in request.lenders if ids[noise] in read_generators(each)]
        self.plan: ImageSetPlan = plan_image_set(captions, wanted, stored, self.cache, lenders)
        self.workshop = Workshop(Path(request.model_folder), request.settings, wanted, self.store)
        self.ledger = Ledger(self.store, request.settings.price_per_hour)
        self.rate_key = f"{wanted.generator_id} x {request.executor.label}"
        self.software_before = read_software(self.store)
        self.software: dict[str, str] = {}
        self.stashed: set[Path] = set()

    def prepare(self) -> None:
        """Copies what leaves the set to the cache; the workshop gets the description of what will draw."""
        self.ledger.settle(self.plan.found)
        _announce(self.plan, self.ledger.forecast(self.rate_key, self.plan.num_images_to_make))
        self.stashed = self._stash()
        # images of a generator that is taken down by now
        self.cache.forget_taken_down(self.request.takedowns)
        # if nothing is drawn, no cluster needs to be asked
        here = describe_software()
        self.software = self.request.executor.software(here) if self.plan.num_images_to_make else here
        if self.plan.num_images_to_make and is_cpu(self.software):
            for warning in slow_on_a_cpu(self.request.settings):
                logger.warning("%s", warning)
        num_shards = sum(bool(shard.num_missing) for shard in self.plan.shards)
        self.workshop = replace(
            self.workshop,
            num_images=self.plan.num_images_to_make,
            num_processes=self.request.executor.num_processes(num_shards),
            description={
                SOFTWARE_FILE: self._software_facts(carried_out=False),
                GENERATOR_FILE: self.generator | earlier_generators(self.plan, self.store),
            },
        )
        if self.plan.num_images_to_make:
            self.ledger.begin(self.plan.wanted.generator_id, self.plan.drawn_shards())

    def close(self, made: Made) -> pd.DataFrame:
        """Removes what is not part of the set, and writes the tables beside the shards."""
        prune(self.plan, self.store)
        write_facts(self.store / SOFTWARE_FILE, self._software_facts(carried_out=True))
        self.cache.forget(set(self.plan.from_cache) - self.stashed)
        self.cache.trim()
        manifest = make_manifest(made.records)
        write_facts(self.store / GENERATOR_FILE, self.generator)
        write_manifest(self.store / MANIFEST_FILE, manifest)
        return manifest

    def account(self, made: Made, manifest: pd.DataFrame) -> dict[str, Any]:
        """Adds the run to the set's ledger; returns the run's own, and attaches the set's to the manifest."""
        plan, generator_id = self.plan, self.plan.wanted.generator_id
        spent = made.spent(time.monotonic() - self.started, self.ledger)
        if made.num_images:
            self.ledger.count(self.rate_key, generator_id, spent, made.rate())
        # Parquet stores it as the manifest's metadata; a run that draws nothing does not change it
        manifest.attrs["ledger"] = {"generator_id": generator_id, **self.ledger.total(generator_id)}
        num_captions = len(plan.captions)
        num_truncated = sum(record["truncated"] for each in made.records.values() for record in each)
        num_rejected = int((manifest["state"] == REJECTED_UNSAFE).sum())
        _warn_of_losses(num_truncated, num_captions, num_rejected, len(manifest))
        logger.info("%d images made in %.1f s", made.num_images, spent["seconds"])
        return {
            "num_captions": num_captions,
            "num_kept": num_captions - plan.num_to_make,
            "num_from_cache": len(plan.from_cache),
            "num_made_captions": plan.num_to_make,
            "num_dropped": plan.num_dropped,
            "num_truncated": num_truncated,
            "num_rejected_unsafe": num_rejected,
            "images_per_second": round(made.num_images / spent["seconds"], 3),
            "generator_id": generator_id,
            **spent,
        }

    def _stash(self) -> set[Path]:
        """Copies what leaves the set to the cache, as much as it may hold; returns the files."""
        gone = {kind: taken_down(self.request.takedowns, kind) for kind in (CAPTION, SOURCE)}
        paths: set[Path] = set()
        num_bytes = 0
        for each in self.plan.leaving:
            record = each.sample.record
            if record["caption_id"] in gone[CAPTION] or record.get("source") in gone[SOURCE]:
                continue
            if num_bytes >= self.cache.max_bytes:
                break
            ids = {index: image_id_of(record["caption_id"], index) for index in each.indices}
            drawn = record["generator_id"], record["seed"]
            versions = {
                index: self.software_before.versions_of(image_id, *drawn) for index, image_id in ids.items()
            }
            path = self.cache.put(each.sample, each.shard, each.indices, versions)
            num_bytes += path.stat().st_size
            paths.add(path)
        return paths

    def _software_facts(self, carried_out: bool) -> dict[str, Any]:
        return software_of_plan(self.plan, self.software_before, self.software, carried_out).to_json()


def _announce(plan: ImageSetPlan, forecast: str) -> None:
    for fault in plan.faults[:_NUM_FAULTS_SHOWN]:
        logger.warning("%s; made again", fault)
    if len(plan.faults) > _NUM_FAULTS_SHOWN:
        logger.warning("%d more such faults", len(plan.faults) - _NUM_FAULTS_SHOWN)
    logger.info("%s; %s", plan.summary(), forecast)


def _warn_of_losses(num_truncated: int, num_captions: int, num_rejected: int, num_images: int) -> None:
    if num_truncated:
        logger.warning(
            "%d of %d captions are longer than the text encoder accepts: drawn from their first words",
            num_truncated, num_captions,
        )  # fmt: skip
    if num_rejected:
        logger.warning(
            "%d of %d images were blanked by the safety checker: counted, not stored",
            num_rejected, num_images,
        )  # fmt: skip
