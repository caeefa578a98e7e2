"""Brings an image set to what is wanted: makes what is missing, keeps the rest, prunes the superfluous."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.curation.people.takedowns import CAPTION, SOURCE, taken_down
from stablerep.errors import DataError
from stablerep.generation.accounts.energy import processor_counters_j, processor_energy_j
from stablerep.generation.accounts.ledger import Ledger, duration
from stablerep.generation.accounts.software import (
    SOFTWARE_FILE,
    SoftwareOfImages,
    describe_software,
    read_software,
    software_of_plan,
)
from stablerep.generation.diffusion.identity import check_not_taken_down, describe_generator
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.generation.executors.executor import Executor, make_shards
from stablerep.generation.executors.local import LocalExecutor
from stablerep.generation.image_sets.cache import SampleCache
from stablerep.generation.image_sets.plan import (
    CaptionPlan,
    ImageSetPlan,
    Wanted,
    distinct_captions,
    make_image_entry,
    plan_image_set,
)
from stablerep.generation.image_sets.workers import Workshop
from stablerep.storage.shards import INTACT, REJECTED_UNSAFE, SHARDS_FOLDER, Record, image_id_of
from stablerep.storage.whole_files import PARTIAL_SUFFIX, written_whole

logger = logging.getLogger(__name__)

MANIFEST_FILE = "manifest.parquet"
_ADVICE = "The shards are kept; make room or mend the permissions and run again."
GENERATOR_FILE = "generator.json"
MANIFEST_COLUMNS = (
    "caption_id",
    "image_index",
    "seed",
    "generator_id",
    "shard",
    "digest",
    "member",
    "width_px",
    "height_px",
    "state",
)
_EARLIER = "earlier"  # in GENERATOR_FILE, while a run replaces another generator's images
_NUM_FAULTS_SHOWN = 5


def make_image_set(  # noqa: PLR0913 -- what is wanted, of what, where, and by whom
    captions: pd.DataFrame,
    settings: GeneratorSettings,
    model_folder: Path,
    store: Path,
    seed: int,
    takedowns: pd.DataFrame | None = None,
    executor: Executor | None = None,
    further: Mapping[str, Sequence[int]] | None = None,
    keeps_spare: bool = False,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Makes the images of captions, only those that are not there and intact.

    Shards are written one by one, each whole: killed at any moment, the next call goes on, and the result
    is that of an uninterrupted one, byte for byte on one machine.

    Args:
        captions: rows with `caption_id`, `text` and, where known, `source` and `licence`; equal
            captions count once.
        settings: how to draw.
        model_folder: the text-to-image model, in diffusers' format.
        store: the image set's folder. Shards under `shards/`, beside them `manifest.parquet`,
            `generator.json` (what made the images) and `software.json` (with which versions).
        seed: of the image set.
        takedowns: as `curation.people.takedowns.read_takedowns` gives them. Curation has dropped their
            captions already; here they count where the caption set is older than the takedown.
        executor: draws what is missing; None for this process.
        further: image indices of captions beyond `images_per_caption`, by caption id.
        keeps_spare: whether intact images of other indices stay; see `stablerep.alignment.remake`.

    Returns:
        The manifest, a row an image, by caption id and index; one that the safety checker blanked has the
        state `rejected_unsafe`, no digest and no size, for it is not stored. Its `attrs["ledger"]` says what
        the generator's images cost in all runs. And the ledger of this call: `num_captions`, `num_kept`,
        `num_from_cache`, `num_made_captions`, `num_made_images`, `num_dropped`, `num_truncated` and
        `num_rejected_unsafe` (of the whole set), `seconds`, `images_per_second`, `gpu_energy_j`,
        `processor_energy_j` and `price` (None where nothing tells them), `generator_id`.

    Raises:
        DataError: no captions, or the disk refuses.
        GeneratorError: the model is missing, incomplete or of a family that cannot be used, was taken
            down, or a process died.
    """
    started = time.monotonic()
    distinct = distinct_captions(captions)
    generator = describe_generator(Path(model_folder), settings)
    cache = SampleCache(store, round(settings.cache_mib * 2**20))
    if takedowns is not None:
        check_not_taken_down(generator, takedowns)
        distinct = _without_taken_down(distinct, takedowns)
        cache.forget_taken_down(takedowns)
    wanted = Wanted(
        generator["generator_id"],
        seed,
        settings.images_per_caption,
        settings.num_shards,
        further or {},
        keeps_spare,
    )
    executor = executor or LocalExecutor()
    plan = plan_image_set(distinct, wanted, store, cache)
    ledger = Ledger(store, settings.price_per_hour)
    rate_key = f"{wanted.generator_id} x {executor.label}"
    _announce(plan, ledger.forecast(rate_key, plan.num_images_to_make))
    before = read_software(store)
    stashed = _stash(plan, cache, before, takedowns)
    if takedowns is not None:
        cache.forget_taken_down(takedowns)  # what a generator made that was taken down meanwhile
    # where nothing is drawn, no cluster need be asked
    here = describe_software()
    current = executor.software(here) if plan.num_images_to_make else here
    _write_json(
        store / SOFTWARE_FILE, software_of_plan(plan, wanted, before, current, carried_out=False).to_json()
    )
    _write_json(store / GENERATOR_FILE, generator | _earlier_generators(plan, wanted, store))
    workshop = Workshop(Path(model_folder), settings, wanted, store)
    try:
        records, made = _carry_out(plan, workshop, executor, ledger)
    finally:
        _remove_unfinished(store)
    _prune(plan, store)
    if plan.leaving:
        software = software_of_plan(plan, wanted, before, current, carried_out=True)
        _write_json(store / SOFTWARE_FILE, software.to_json())
    cache.forget(set(plan.from_cache) - stashed)
    cache.trim()
    manifest = make_manifest(records)
    _write_json(store / GENERATOR_FILE, generator)
    write_manifest(store / MANIFEST_FILE, manifest)
    spent = made.spent(time.monotonic() - started, ledger)
    if made.num_images:
        ledger.add(rate_key, wanted.generator_id, spent, made.rate())
    # Parquet keeps it as the manifest's metadata; a run that draws nothing changes nothing in it
    manifest.attrs["ledger"] = {"generator_id": wanted.generator_id, **ledger.total(wanted.generator_id)}
    num_truncated = sum(record["truncated"] for each in records.values() for record in each)
    num_rejected = int((manifest["state"] == REJECTED_UNSAFE).sum())
    _tell_losses(num_truncated, len(distinct), num_rejected, len(manifest))
    logger.info("%d images made in %.1f s", made.num_images, spent["seconds"])
    return manifest, {
        "num_captions": len(distinct),
        "num_kept": len(distinct) - plan.num_to_make,
        "num_from_cache": len(plan.from_cache),
        "num_made_captions": plan.num_to_make,
        "num_dropped": plan.num_dropped,
        "num_truncated": num_truncated,
        "num_rejected_unsafe": num_rejected,
        "images_per_second": round(made.num_images / spent["seconds"], 3),
        "generator_id": wanted.generator_id,
        **spent,
    }


def make_manifest(records: dict[str, list[Record]]) -> pd.DataFrame:
    """Returns a row an image, by caption id and index, from shard name -> records."""
    rows = [
        {
            "caption_id": record["caption_id"],
            "image_index": image["index"],
            "seed": image["seed"],
            "generator_id": record["generator_id"],
            "shard": shard,
            "digest": image["digest"],
            "member": image["member"],
            "width_px": image["width_px"],
            "height_px": image["height_px"],
            # the same whether it was made now or kept: the table must not depend on the run
            "state": state,
        }
        for shard, members in records.items()
        for record in members
        for state, image in _images_of(record)
    ]
    frame = pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS))
    return frame.sort_values(["caption_id", "image_index"], ignore_index=True)


def _images_of(record: Record) -> Iterator[tuple[str, dict[str, Any]]]:
    for image in record["images"]:
        yield INTACT, image
    for index in record.get(REJECTED_UNSAFE, []):
        yield REJECTED_UNSAFE, make_image_entry(record["caption_id"], record["seed"], index, "", (0, 0))


def _without_taken_down(captions: list[CaptionPlan], takedowns: pd.DataFrame) -> list[CaptionPlan]:
    ids, sources = taken_down(takedowns, CAPTION), taken_down(takedowns, SOURCE)
    left = [each for each in captions if each.caption_id not in ids and each.source not in sources]
    if not left:
        raise DataError(
            f"caption set: all {len(captions)} captions were taken down; must be at least one that is not. "
            "Add captions to data/01_raw/captions.csv."
        )
    if len(left) < len(captions):
        logger.warning(
            "%d captions of the set were taken down: no image is kept or made", len(captions) - len(left)
        )
    return left


def read_generators(store: Path) -> dict[str, dict[str, Any]]:
    """Returns generator id -> what made a set's images; several where the last run did not come to its end.

    Empty where it is not written down.
    """
    try:
        facts = dict(json.loads((store / GENERATOR_FILE).read_text(encoding="utf-8")))
        known = [facts, *facts.pop(_EARLIER, {}).values()]
        return {str(each["generator_id"]): each for each in known if "files" in each}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _earlier_generators(plan: ImageSetPlan, wanted: Wanted, store: Path) -> dict[str, Any]:
    """Returns, under a key of its own, what made the images that leave the set: a run may fail before."""
    leaving = {each.sample.record["generator_id"] for each in plan.leaving} - {wanted.generator_id}
    known = {each: facts for each, facts in read_generators(store).items() if each in leaving}
    return {_EARLIER: known} if known else {}


def _announce(plan: ImageSetPlan, forecast: str) -> None:
    for fault in plan.faults[:_NUM_FAULTS_SHOWN]:
        logger.warning("%s; made again", fault)
    if len(plan.faults) > _NUM_FAULTS_SHOWN:
        logger.warning("%d more such faults", len(plan.faults) - _NUM_FAULTS_SHOWN)
    logger.info("%s; %s", plan.summary(), forecast)


def _stash(
    plan: ImageSetPlan, cache: SampleCache, software: SoftwareOfImages, takedowns: pd.DataFrame | None
) -> set[Path]:
    """Copies what leaves the set to the cache, as much as it may hold; returns where it lies there."""
    gone = {kind: taken_down(takedowns, kind) for kind in (CAPTION, SOURCE)} if takedowns is not None else {}
    paths: set[Path] = set()
    num_bytes = 0
    for each in plan.leaving:
        record = each.sample.record
        if record["caption_id"] in gone.get(CAPTION, ()) or record.get("source") in gone.get(SOURCE, ()):
            continue
        if num_bytes >= cache.max_bytes:
            break
        ids = {index: image_id_of(record["caption_id"], index) for index in each.indices}
        drawn = record["generator_id"], record["seed"]
        versions = {index: software.versions_of(image_id, *drawn) for index, image_id in ids.items()}
        path = cache.put(each.sample, each.shard, each.indices, versions)
        num_bytes += path.stat().st_size
        paths.add(path)
    return paths


def _tell_losses(num_truncated: int, num_captions: int, num_rejected: int, num_images: int) -> None:
    if num_truncated:
        logger.warning(
            "%d of %d captions are longer than the text encoder takes: drawn from their first words",
            num_truncated, num_captions,
        )  # fmt: skip
    if num_rejected:
        logger.warning(
            "%d of %d images were blanked by the safety checker: counted, not stored",
            num_rejected, num_images,
        )  # fmt: skip


@dataclass
class _Made:
    """What a run drew so far."""

    num_images: int = 0
    seconds: float = 0.0
    load_s: float = 0.0
    gpu_energy_j: float | None = None
    processor_energy_j: float | None = None

    def spent(self, seconds: float, ledger: Ledger) -> dict[str, Any]:
        """Returns what `Ledger.add` takes, for so many seconds in all."""
        return {
            "num_made_images": self.num_images,
            "seconds": round(seconds, 3),
            "gpu_energy_j": self.gpu_energy_j,
            "processor_energy_j": self.processor_energy_j,
            "price": ledger.price(seconds),
        }

    def rate(self) -> dict[str, float]:
        """Returns seconds before the first image, and images a second from then on."""
        rate = self.num_images / max(1e-3, self.seconds - self.load_s)
        return {"start_s": round(self.load_s, 2), "images_per_second": round(rate, 2)}


def _carry_out(
    plan: ImageSetPlan, workshop: Workshop, executor: Executor, ledger: Ledger
) -> tuple[dict[str, list[Record]], _Made]:
    for path in plan.stale:
        if path.name.endswith(PARTIAL_SUFFIX):
            path.unlink()
    records = {shard.name: shard.records for shard in plan.shards if shard.records is not None}
    to_write = [shard for shard in plan.shards if shard.records is None]
    made, total = _Made(), plan.num_images_to_make
    started, counters = time.monotonic(), processor_counters_j()
    for number, shard in enumerate(make_shards(workshop, to_write, executor), 1):
        records[shard.name] = shard.records
        made.num_images += shard.num_images
        made.load_s = max(made.load_s, shard.load_s)
        made.seconds = time.monotonic() - started
        if shard.gpu_energy_j is not None:
            made.gpu_energy_j = (made.gpu_energy_j or 0.0) + shard.gpu_energy_j
        rate = made.num_images / max(1e-6, made.seconds)
        outlook = ""
        if made.num_images:
            left, whole = duration((total - made.num_images) / rate), ledger.told(total / rate)
            outlook = f", {rate:.1f} images/s, about {left} left of {whole}"
        logger.info(
            "shard %d of %d written: %d of %d images%s",
            number, len(to_write), made.num_images, total, outlook,
        )  # fmt: skip
    made.processor_energy_j = processor_energy_j(counters, processor_counters_j())
    return records, made


def _remove_unfinished(store: Path) -> None:
    """Removes what processes were writing when they died."""
    for path in (store / SHARDS_FOLDER).glob(f"*{PARTIAL_SUFFIX}"):
        path.unlink(missing_ok=True)


def _prune(plan: ImageSetPlan, store: Path) -> None:
    """Removes shards that are no part of the set; after the making, which may read them."""
    for path in plan.stale:
        path.unlink(missing_ok=True)
    stray = sorted({path.name for path in (store / SHARDS_FOLDER).iterdir()} - {s.name for s in plan.shards})
    if stray:
        logger.warning("%s: left alone, no shards: %s", store / SHARDS_FOLDER, ", ".join(stray[:5]))


def write_manifest(path: Path, manifest: pd.DataFrame) -> None:
    """Writes a set's manifest, whole or not at all."""
    with written_whole(path, _ADVICE) as beside:
        manifest.to_parquet(beside, index=False)


def _write_json(path: Path, facts: Mapping[str, Any]) -> None:
    with written_whole(path, _ADVICE) as beside:
        text = json.dumps(facts, indent=1, sort_keys=True, default=str)
        beside.write_text(text + "\n", encoding="utf-8")
