"""Brings an image set to what is wanted: makes what is missing, keeps the rest, prunes the superfluous."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.curation.takedowns import CAPTION, SOURCE, taken_down
from stablerep.errors import DataError
from stablerep.generation.identity import check_not_taken_down, describe_generator
from stablerep.generation.plan import (
    CaptionPlan,
    ImageSetPlan,
    Wanted,
    distinct_captions,
    make_image_entry,
    plan_image_set,
)
from stablerep.generation.settings import GenerationSettings
from stablerep.generation.software import (
    SOFTWARE_FILE,
    describe_software,
    read_software,
    software_of_plan,
)
from stablerep.generation.workers import Workshop, make_shards
from stablerep.shards import INTACT, PARTIAL_SUFFIX, REJECTED_UNSAFE, SHARDS_FOLDER, Record

logger = logging.getLogger(__name__)

MANIFEST_FILE = "manifest.parquet"
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
_NUM_FAULTS_SHOWN = 5


def make_image_set(
    captions: pd.DataFrame,
    settings: GenerationSettings,
    model_folder: Path,
    store: Path,
    seed: int,
    takedowns: pd.DataFrame | None = None,
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
        takedowns: as `stablerep.curation.takedowns.read_takedowns` gives them. Curation has dropped their
            captions already; here they count where the caption set is older than the takedown.
        further: image indices of captions beyond `images_per_caption`, by caption id.
        keeps_spare: whether intact images of other indices stay; see `stablerep.alignment.remake`.

    Returns:
        The manifest, a row an image, by caption id and index; one that the safety checker blanked has the
        state `rejected_unsafe`, no digest and no size, for it is not stored. And the ledger of this call:
        `num_captions`, `num_kept`, `num_made_captions`, `num_made_images`, `num_dropped`, `num_truncated`
        and `num_rejected_unsafe` (of the whole set), `seconds`, `images_per_second`, `generator_id`.

    Raises:
        DataError: no captions, or the disk refuses.
        GeneratorError: the model is missing, incomplete or of a family that cannot be used, was taken
            down, or a process died.
    """
    started = time.monotonic()
    distinct = distinct_captions(captions)
    generator = describe_generator(Path(model_folder), settings)
    if takedowns is not None:
        check_not_taken_down(generator, takedowns)
        distinct = _without_taken_down(distinct, takedowns)
    wanted = Wanted(
        generator["generator_id"],
        seed,
        settings.images_per_caption,
        settings.num_shards,
        further or {},
        keeps_spare,
    )
    plan = plan_image_set(distinct, wanted, store)
    rates = _Rates(store, f"{wanted.generator_id} x {settings.num_processes}")
    _announce(plan, rates)
    _note_software(plan, store)
    records, num_made = _carry_out(plan, Workshop(Path(model_folder), settings, wanted, store), rates)
    _prune(plan, store)
    manifest = make_manifest(records)
    _write_text(store / GENERATOR_FILE, json.dumps(generator, indent=1, sort_keys=True, default=str))
    write_manifest(store / MANIFEST_FILE, manifest)
    seconds = time.monotonic() - started
    num_truncated = sum(record["truncated"] for each in records.values() for record in each)
    if num_truncated:
        logger.warning(
            "%d of %d captions are longer than the text encoder takes: drawn from their first words",
            num_truncated, len(distinct),
        )  # fmt: skip
    num_rejected = int((manifest["state"] == REJECTED_UNSAFE).sum())
    if num_rejected:
        logger.warning(
            "%d of %d images were blanked by the safety checker: counted, not stored",
            num_rejected, len(manifest),
        )  # fmt: skip
    ledger = {
        "num_captions": len(distinct),
        "num_kept": len(distinct) - plan.num_to_make,
        "num_made_captions": plan.num_to_make,
        "num_made_images": num_made,
        "num_dropped": plan.num_dropped,
        "num_truncated": num_truncated,
        "num_rejected_unsafe": num_rejected,
        "seconds": round(seconds, 3),
        "images_per_second": round(num_made / seconds, 3),
        "generator_id": wanted.generator_id,
    }
    logger.info("%d images made in %.1f s", num_made, seconds)
    return manifest, ledger


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
            # the same whether it was made now or kept, or each run would hand on another table
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


def _note_software(plan: ImageSetPlan, store: Path) -> None:
    software = software_of_plan(plan, read_software(store), describe_software())
    try:
        store.mkdir(parents=True, exist_ok=True)
        _write_text(store / SOFTWARE_FILE, json.dumps(software.to_json(), indent=1, sort_keys=True))
    except OSError as error:
        raise DataError(
            f"{store / SOFTWARE_FILE}: cannot be written ({error.strerror or error}). What is there is kept; "
            "make room or mend the permissions and run again."
        ) from error


def _announce(plan: ImageSetPlan, rates: "_Rates") -> None:
    for fault in plan.faults[:_NUM_FAULTS_SHOWN]:
        logger.warning("%s; made again", fault)
    if len(plan.faults) > _NUM_FAULTS_SHOWN:
        logger.warning("%d more such faults", len(plan.faults) - _NUM_FAULTS_SHOWN)
    forecast = rates.forecast(plan.num_images_to_make)
    logger.info("%s%s", plan.summary(), f"; {forecast}" if forecast else "")


def _carry_out(
    plan: ImageSetPlan, workshop: Workshop, rates: "_Rates"
) -> tuple[dict[str, list[Record]], int]:
    for path in plan.stale:
        if path.name.endswith(PARTIAL_SUFFIX):
            path.unlink()
    records = {shard.name: shard.records for shard in plan.shards if shard.records is not None}
    to_write = [shard for shard in plan.shards if shard.records is None]
    started = time.monotonic()
    num_made, load_s = 0, 0.0
    for number, made in enumerate(make_shards(workshop, to_write), 1):
        records[made.name] = made.records
        num_made += made.num_images
        load_s = max(load_s, made.load_s)
        elapsed = time.monotonic() - started
        rate = num_made / max(1e-6, elapsed)
        left = (plan.num_images_to_make - num_made) / rate if num_made else 0.0
        logger.info(
            "shard %d of %d written: %d images, %.1f images/s, about %.0f s left",
            number, len(to_write), num_made, rate, left,
        )  # fmt: skip
    rates.remember(num_made, time.monotonic() - started, load_s)
    return records, num_made


def _prune(plan: ImageSetPlan, store: Path) -> None:
    """Removes shards that are no part of the set; after the making, which may read them."""
    for path in plan.stale:
        path.unlink(missing_ok=True)
    stray = sorted({path.name for path in (store / SHARDS_FOLDER).iterdir()} - {s.name for s in plan.shards})
    if stray:
        logger.warning("%s: left alone, no shards: %s", store / SHARDS_FOLDER, ", ".join(stray[:5]))


def write_manifest(path: Path, manifest: pd.DataFrame) -> None:
    """Writes a set's manifest, whole or not at all."""
    _write_beside(path, lambda beside: manifest.to_parquet(beside, index=False))


def _write_beside(path: Path, write: Callable[[Path], object]) -> None:
    beside = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        write(beside)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}). The shards are kept; make room or mend "
            "the permissions and run again."
        ) from error


def _write_text(path: Path, text: str) -> None:
    _write_beside(path, lambda beside: beside.write_text(text + "\n", encoding="utf-8"))


class _Rates:
    """Remembers, beside the image set, how fast this machine made images, for the next forecast.

    Not inside the set: that is to be the same however long it took.
    """

    def __init__(self, store: Path, key: str) -> None:
        self.path = store.with_name(store.name + ".rate.json")
        self.key = key

    def forecast(self, num_images: int) -> str:
        """Returns `about 3 s`, or nothing where nothing was measured yet."""
        try:
            known = json.loads(self.path.read_text())[self.key]
            seconds = known["start_s"] + num_images / known["images_per_second"]
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            return ""  # a forecast is a courtesy: no rate, or a file of another version, is no fault
        return f"about {seconds if num_images else 0:.0f} s"

    def remember(self, num_images: int, seconds: float, start_s: float) -> None:
        """Keeps the rate of a run that drew images."""
        if not num_images:
            return
        rate = num_images / max(1e-3, seconds - start_s)
        known = {self.key: {"start_s": round(start_s, 2), "images_per_second": round(rate, 2)}}
        _write_text(self.path, json.dumps(known))
