"""Compares the image set that is wanted with what is there and intact: what to keep, make and drop.

Nothing is judged by its name: each image's bytes are verified against the digest in its record, and the
record against what would be drawn now (text, seed, generator).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from stablerep.generation.accounts.ledger import DrawnShard, FoundShard
from stablerep.generation.image_sets.cache import SampleCache
from stablerep.generation.image_sets.lending import LendingSet
from stablerep.generation.image_sets.records import make_image_entry, make_record
from stablerep.generation.image_sets.wanted import CaptionPlan, Wanted
from stablerep.storage.shards import (
    REJECTED_UNSAFE,
    SHARDS_FOLDER,
    Record,
    ShardScan,
    StoredSample,
    is_shard_name,
    scan_shard,
    shard_name,
)
from stablerep.storage.whole_files import PARTIAL_SUFFIX


@dataclass(frozen=True)
class ShardPlan:
    """What must be done for one shard.

    Attributes:
        name: of its file.
        captions: all that it must hold, by caption id.
        records: the present ones if the shard is already as it should be; None if it must be written.
    """

    name: str
    captions: list[CaptionPlan]
    records: list[Record] | None = None

    @property
    def num_missing(self) -> int:
        """Images to make."""
        return sum(len(caption.missing) for caption in self.captions)

    @property
    def num_images(self) -> int:
        """Images that are made for it, once it is written; also those that a safety checker blanked."""
        return sum(len(caption.done) + len(caption.missing) for caption in self.captions)


class Leaving(NamedTuple):
    """Images of a sample that are there and are not part of the wanted set.

    Attributes:
        shard: that holds them.
        sample: as it was found.
        indices: of the images.
    """

    shard: Path
    sample: StoredSample
    indices: tuple[int, ...]


@dataclass(frozen=True)
class ImageSetPlan:
    """What must be done for the image set.

    Attributes:
        wanted: what the images of the set have in common.
        shards: all wanted ones, by name.
        num_dropped: captions that are there and no longer wanted.
        faults: damage that was found.
        stale: files that are not part of the wanted set.
        leaving: intact images that will not be part of the set.
        from_cache: samples of the cache that become part of the set -> their records.
        lenders: sets that some of the kept images are copied from.
        found: file name -> shard that is there, for the ledger.
    """

    wanted: Wanted
    shards: list[ShardPlan]
    num_dropped: int
    faults: list[str]
    stale: list[Path]
    leaving: list[Leaving]
    from_cache: dict[Path, Record]
    found: dict[str, FoundShard]
    lenders: tuple[LendingSet, ...] = ()

    @property
    def captions(self) -> list[CaptionPlan]:
        """All captions."""
        return [caption for shard in self.shards for caption in shard.captions]

    @property
    def num_to_make(self) -> int:
        """Captions of which an image is missing."""
        return sum(bool(caption.missing) for caption in self.captions)

    @property
    def num_images_to_make(self) -> int:
        """Images that are missing."""
        return sum(shard.num_missing for shard in self.shards)

    def drawn_shards(self) -> dict[str, DrawnShard]:
        """Returns file name -> shard for which images are missing, for the ledger."""
        return {
            shard.name: DrawnShard(
                shard.num_missing, shard.num_images, self.found.get(shard.name, FoundShard()).digest
            )
            for shard in self.shards
            if shard.num_missing
        }

    def summary(self) -> str:
        """Returns the plan in one line, for the log."""
        num = len(self.captions)
        cached = f" ({len(self.from_cache):,} back from the cache)" if self.from_cache else ""
        return (
            f"{num:,} captions: {num - self.num_to_make:,} kept{cached}, {self.num_to_make:,} to make, "
            f"{self.num_dropped:,} to drop"
        )


def plan_image_set(
    captions: list[CaptionPlan],
    wanted: Wanted,
    stored: "StoredSet",
    cache: SampleCache,
    lenders: Sequence[LendingSet] = (),
) -> ImageSetPlan:
    """Compares what is wanted with what is there.

    Args:
        captions: from `distinct_captions`.
        wanted: what the images of the set have in common.
        stored: the set as it is.
        cache: holds samples that left the set.
        lenders: other sets; images that are neither in this one nor in its cache are copied from the first
            one that has them.
    """
    by_shard: dict[str, list[CaptionPlan]] = {}
    from_cache: dict[Path, Record] = {}
    for caption in captions:
        planned, cached = _plan_caption(caption, wanted, stored, cache)
        for lender in lenders:
            planned = _plan_to_borrow(planned, wanted, lender)
        by_shard.setdefault(shard_name(caption.caption_id, wanted.num_shards), []).append(planned)
        from_cache |= cached
    shards = [
        ShardPlan(name, members, stored.records_if_ready(name, members, wanted))
        for name, members in sorted(by_shard.items())
    ]
    return ImageSetPlan(
        wanted=wanted,
        shards=shards,
        num_dropped=len(stored.caption_ids - {caption.caption_id for caption in captions}),
        faults=stored.faults,
        stale=stored.stale(by_shard),
        leaving=stored.leaving({each.caption_id: each.kept for shard in shards for each in shard.captions}),
        from_cache=from_cache,
        lenders=tuple(lenders),
        found={name: FoundShard(scan.digest, scan.num_images) for name, scan in stored.scans.items()},
    )


class StoredSet:
    """The files of an image set, read and verified."""

    def __init__(self, store: Path, num_shards: int) -> None:
        """Reads all of it.

        Args:
            store: the image set's folder; may be absent.
            num_shards: that the set is to have.
        """
        self.folder = folder = store / SHARDS_FOLDER
        self.files = sorted(folder.iterdir()) if folder.is_dir() else []
        self.scans = {path.name: scan_shard(path) for path in self.files if is_shard_name(path.name)}
        self.shard_of = _locate(self.scans, num_shards)

    @property
    def caption_ids(self) -> set[str]:
        """All captions that have a sample."""
        return {caption_id for scan in self.scans.values() for caption_id in scan.samples}

    @property
    def drawn_by(self) -> set[tuple[Any, Any]]:
        """Generator ids and seeds of the images."""
        samples = (sample for scan in self.scans.values() for sample in scan.samples.values())
        return {(sample.record.get("generator_id"), sample.record.get("seed")) for sample in samples}

    @property
    def faults(self) -> list[str]:
        """Everything that was found damaged."""
        return [fault for scan in self.scans.values() for fault in scan.faults]

    def find(self, caption_id: str) -> tuple[Path, StoredSample] | None:
        """Returns a caption's sample and the shard that holds it."""
        name = self.shard_of.get(caption_id)
        return None if name is None else (self.folder / name, self._sample_of(caption_id))

    def _sample_of(self, caption_id: str) -> StoredSample:
        return self.scans[self.shard_of[caption_id]].samples[caption_id]

    def stale(self, wanted_shards: Iterable[str]) -> list[Path]:
        """Returns the files that are not part of the wanted set."""
        wanted = set(wanted_shards)
        return [
            path
            for path in self.files
            if path.name.endswith(PARTIAL_SUFFIX) or (is_shard_name(path.name) and path.name not in wanted)
        ]

    def leaving(self, kept: dict[str, dict[int, Path]]) -> list[Leaving]:
        """Returns the intact images that will not be part of the set, those of wanted captions first.

        Within both halves shard by shard, so that each shard is opened twice at most.

        Args:
            kept: caption id -> image index -> file that holds the image.
        """
        leaving = []
        in_order = sorted(self.shard_of, key=lambda each: (each not in kept, self.shard_of[each], each))
        for caption_id in in_order:
            path, sample = self.folder / self.shard_of[caption_id], self._sample_of(caption_id)
            stays = {index for index, holder in kept.get(caption_id, {}).items() if holder == path}
            rest = tuple(sorted(set(sample.digests) - stays))
            if rest:
                leaving.append(Leaving(path, sample, rest))
        return leaving

    def records_if_ready(self, name: str, members: list[CaptionPlan], wanted: Wanted) -> list[Record] | None:
        """Returns a shard's records if it is already as it should be, to the byte."""
        scan = self.scans.get(name)
        if scan is None or not _is_ready(scan, self.folder / name, members, wanted):
            return None
        return [scan.samples[caption.caption_id].record for caption in members]


def _plan_to_borrow(caption: CaptionPlan, wanted: Wanted, lender: LendingSet) -> CaptionPlan:
    """Returns the caption's plan with the missing images that another set has."""
    found = lender.find(caption.caption_id) if caption.missing else None
    if found is None:
        return caption
    planned = _plan_to_keep(caption, wanted, caption.missing, *found)
    return replace(planned, missing=tuple(index for index in caption.missing if index not in planned.done))


def _plan_caption(
    caption: CaptionPlan, wanted: Wanted, stored: StoredSet, cache: SampleCache
) -> tuple[CaptionPlan, dict[Path, Record]]:
    """Returns the caption's plan, and the sample of the cache that it uses with its record, if any."""
    planned, indices = caption, wanted.indices_of(caption.caption_id)
    found = stored.find(caption.caption_id)
    if found is not None:
        path, sample = found
        if _is_of(sample, caption, wanted):
            there = {*sample.digests, *sample.record.get(REJECTED_UNSAFE, [])}
            indices = wanted.indices_of(caption.caption_id, there)
        planned = _plan_to_keep(planned, wanted, indices, path, sample)
    from_cache: dict[Path, Record] = {}
    if not planned.done.issuperset(indices):
        cached = cache.find(caption.caption_id, wanted.generator_id, wanted.seed)
        if cached is not None:
            path, sample = cached
            planned = _plan_to_keep(planned, wanted, indices, path, sample)
            if path in planned.kept.values():
                from_cache[path] = sample.record
    missing = tuple(index for index in indices if index not in planned.done)
    return replace(planned, missing=missing), from_cache


def _locate(scans: dict[str, ShardScan], num_shards: int) -> dict[str, str]:
    """Returns caption id -> shard that holds it.

    Shards of another count are read as well, so that changing the count loses no image. A shard of this
    count is trusted for its own captions only: it may be written while others are read.
    """
    found: dict[str, str] = {}
    suffix = shard_name("", num_shards).partition("-of-")[2]
    for name, scan in sorted(scans.items()):
        current = name.endswith(f"-of-{suffix}")
        for caption_id in scan.samples:
            own = name == shard_name(caption_id, num_shards)
            if own or (not current and caption_id not in found):
                found[caption_id] = name
    return found


def _plan_to_keep(
    caption: CaptionPlan, wanted: Wanted, indices: Iterable[int], path: Path, sample: StoredSample
) -> CaptionPlan:
    """Returns the plan with the images of a sample that are wanted and not there yet."""
    if not _is_of(sample, caption, wanted):
        return caption
    open_indices = [i for i in indices if i not in caption.done]
    kept = {index: path for index in open_indices if index in sample.digests}
    rejected = tuple(index for index in open_indices if index in sample.record.get(REJECTED_UNSAFE, []))
    if not kept and not rejected:
        return caption
    return replace(
        caption,
        kept=caption.kept | kept,
        rejected=tuple(sorted((*caption.rejected, *rejected))),
        truncated=bool(sample.record.get("truncated")),
    )


def _is_of(sample: StoredSample, caption: CaptionPlan, wanted: Wanted) -> bool:
    """Returns whether a sample was drawn from this caption, by this generator, with this seed."""
    drawn = {key: sample.record.get(key) for key in ("text", "seed", "generator_id")}
    return drawn == {"text": caption.text, "seed": wanted.seed, "generator_id": wanted.generator_id}


def _is_ready(scan: ShardScan, path: Path, members: list[CaptionPlan], wanted: Wanted) -> bool:
    """Returns whether a shard is already as it should be, to the byte."""
    if scan.faults or list(scan.samples) != [caption.caption_id for caption in members]:
        return False
    for caption in members:
        # a caption may have no image if the safety checker blanked each
        if caption.missing or set(caption.kept.values()) - {path}:
            return False
        record = scan.samples[caption.caption_id].record
        images = [image for image in record["images"] if image["index"] in caption.kept]
        if record != make_record(caption, wanted, images, caption.rejected, bool(caption.truncated)):
            return False
        for image in images:
            size = image.get("width_px"), image.get("height_px")
            index, digest = image["index"], image["digest"]
            if image != make_image_entry(caption.caption_id, wanted.seed, index, digest, size):
                return False
    return True
