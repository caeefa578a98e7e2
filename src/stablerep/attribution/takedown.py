"""The images of a set that came from a caption, a source or a generator, and their removal."""

import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stablerep.alignment.scores import read_scores, write_scores
from stablerep.attribution.find import read_generator, scan_shards, shards_of_caption
from stablerep.curation.people.takedowns import CAPTION, SOURCE
from stablerep.generation.diffusion.identity import model_id_of
from stablerep.generation.image_sets.manifest import MANIFEST_FILE, write_manifest
from stablerep.storage.shards import (
    SHARDS_FOLDER,
    Record,
    ShardScan,
    image_id_of,
    member_name,
    read_members,
    scan_shard,
    write_shard,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AffectedCaption:
    """A caption whose images came from what is taken down.

    Attributes:
        shard: file name of the shard that holds it.
        record: of the sample.
    """

    shard: str
    record: Record

    @property
    def image_ids(self) -> list[str]:
        """Of its images, those whose bytes are damaged too."""
        return [image_id_of(self.record["caption_id"], image["index"]) for image in self.record["images"]]


def find_affected(store: Path, kind: str, what: str) -> list[AffectedCaption]:
    """Finds the captions of an image set that came from something.

    A caption's id says which shard holds it, and only that one is read; otherwise all are.

    Args:
        store: the image set's folder; may be absent.
        kind: see `stablerep.curation.people.takedowns.KINDS`.
        what: likewise.

    Returns:
        By shard and caption id.
    """
    own = {path.name for path in shards_of_caption(store, what)} if kind == CAPTION else None
    scans = scan_shards(store, own)
    records = [(shard, each.record) for shard, scan in scans.items() for each in scan.samples.values()]
    key = {CAPTION: "caption_id", SOURCE: "source"}.get(kind, "generator_id")
    wanted = {what} if key != "generator_id" else {what, *_generators_of_model(store, what, records)}
    return [AffectedCaption(shard, record) for shard, record in records if record.get(key) in wanted]


def remove_images(store: Path, affected: list[AffectedCaption]) -> int:
    """Removes captions with their images from the shards, the set's manifest and its scores.

    Each shard is replaced whole: killed at any moment, what was not removed yet is as it was, and the next
    generation removes it as well. Images of other captions are copied byte for byte.

    Returns:
        The number of images removed.

    Raises:
        DataError: the disk refuses.
    """
    for shard in sorted({each.shard for each in affected}):
        gone = {each.record["caption_id"] for each in affected if each.shard == shard}
        path = store / SHARDS_FOLDER / shard
        _rewrite(path, scan_shard(path), gone)
    _shorten_tables(store, {each.record["caption_id"] for each in affected})
    return sum(len(each.image_ids) for each in affected)


def _generators_of_model(store: Path, model_id: str, records: list[tuple[str, Record]]) -> set[str]:
    generator_ids = {str(record.get("generator_id")) for _, record in records}
    facts = {each: read_generator(store, each) for each in generator_ids}
    return {each for each, known in facts.items() if known and model_id_of(known) == model_id}


def _rewrite(path: Path, scan: ShardScan, gone: set[str]) -> None:
    kept = {key: sample for key, sample in scan.samples.items() if key not in gone}
    for fault in scan.faults:
        logger.warning("%s; the next generation makes it again", fault)
    if not kept:
        path.unlink()
        return
    names = {member_name(key, index) for key, sample in kept.items() for index in sample.digests}
    data = read_members(path, names)
    write_shard(
        path,
        [
            (sample.record, {index: data[member_name(key, index)] for index in sample.digests})
            for key, sample in kept.items()
        ],
    )


def _shorten_tables(store: Path, gone: set[str]) -> None:
    scores = read_scores(store)
    if scores["caption_id"].isin(gone).any():
        # they hold the captions' texts
        write_scores(store, scores[~scores["caption_id"].isin(gone)].reset_index(drop=True))
    path = store / MANIFEST_FILE
    if not path.is_file():
        return
    manifest = pd.read_parquet(path)
    write_manifest(path, manifest[~manifest["caption_id"].isin(gone)].reset_index(drop=True))
