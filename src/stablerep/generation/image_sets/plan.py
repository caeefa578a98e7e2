"""Compares the image set that is wanted with what is there and intact: what to keep, make and drop.

Nothing is judged by its name: each image's bytes are verified against the digest in its record, and the
record against what would be drawn now (text, seed, generator).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from stablerep.errors import DataError
from stablerep.generation.diffusion.generator import ImageRequest, image_noise_seed
from stablerep.generation.image_sets.cache import SampleCache
from stablerep.storage.shards import (
    REJECTED_UNSAFE,
    SHARDS_FOLDER,
    Record,
    ShardScan,
    StoredSample,
    check_caption_id,
    is_shard_name,
    member_name,
    scan_shard,
    shard_name,
)
from stablerep.storage.whole_files import PARTIAL_SUFFIX


@dataclass(frozen=True)
class CaptionPlan:
    """What is to be done for one caption.

    Attributes:
        caption_id: its id.
        text: what is drawn.
        source: where the caption came from.
        licence: its terms.
        kept: image index -> shard, or sample of the cache, that holds it.
        rejected: indices of the images that the safety checker blanked, as the kept record says.
        truncated: what the kept record says, None where nothing is kept.
        missing: indices of the images to make.
    """

    caption_id: str
    text: str
    source: str
    licence: str
    kept: dict[int, Path] = field(default_factory=dict)
    rejected: tuple[int, ...] = ()
    truncated: bool | None = None
    missing: tuple[int, ...] = ()

    @property
    def done(self) -> set[int]:
        """Indices of the images that need not be made."""
        return {*self.kept, *self.rejected}

    def requests(self) -> list[ImageRequest]:
        """Returns the images to draw."""
        return [ImageRequest(self.caption_id, self.text, index) for index in self.missing]


@dataclass(frozen=True)
class ShardPlan:
    """What is to be done for one shard.

    Attributes:
        name: of its file.
        captions: all that it is to hold, by caption id.
        records: as they are, where the shard is already what it is to be; None where it is written.
    """

    name: str
    captions: list[CaptionPlan]
    records: list[Record] | None = None

    @property
    def num_missing(self) -> int:
        """Images to make."""
        return sum(len(caption.missing) for caption in self.captions)


class Leaving(NamedTuple):
    """Images of a sample that are there and that the wanted set has no place for.

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
    """What is to be done for the image set.

    Attributes:
        shards: all that are wanted, by name.
        num_dropped: captions that are there and no longer wanted.
        faults: what was found damaged.
        stale: files that are no part of the wanted set.
        leaving: what is intact and will not be part of the set.
        from_cache: samples of the cache that become part of the set -> their records.
    """

    shards: list[ShardPlan]
    num_dropped: int
    faults: list[str]
    stale: list[Path]
    leaving: list[Leaving]
    from_cache: dict[Path, Record]

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

    def summary(self) -> str:
        """Says it in one line."""
        num = len(self.captions)
        cached = f" ({len(self.from_cache):,} back from the cache)" if self.from_cache else ""
        return (
            f"{num:,} captions: {num - self.num_to_make:,} kept{cached}, {self.num_to_make:,} to make, "
            f"{self.num_dropped:,} to drop"
        )


@dataclass(frozen=True)
class Wanted:
    """The image set that is wanted.

    Attributes:
        generator_id: see stablerep.generation.diffusion.identity.
        seed: of the image set.
        images_per_caption: images of each caption, with indices from 0.
        num_shards: files.
        further: indices beyond these, by caption id.
        keeps_spare: whether intact images of other indices stay, until it is known who wants them.
    """

    generator_id: str
    seed: int
    images_per_caption: int
    num_shards: int
    further: Mapping[str, Sequence[int]] = field(default_factory=dict)
    keeps_spare: bool = False

    def indices_of(self, caption_id: str, there: Iterable[int] = ()) -> list[int]:
        """Returns the indices of a caption's images, given those that are there."""
        wanted = {*range(self.images_per_caption), *self.further.get(caption_id, ())}
        return sorted(wanted.union(there) if self.keeps_spare else wanted)


def distinct_captions(captions: pd.DataFrame) -> list[CaptionPlan]:
    """Returns the captions by id, of equal ones the first.

    Raises:
        DataError: there is none, a column is missing, or an id cannot name a sample.
    """
    absent = sorted({"caption_id", "text"} - set(captions.columns))
    if absent:
        raise DataError(
            f"caption set: column {', '.join(absent)} is missing; must be there besides "
            f"{', '.join(map(str, captions.columns))}. Run the curation pipeline."
        )
    if captions.empty:
        raise DataError(
            "caption set: got no captions; must be at least one. See data/03_primary/"
            "rejected_captions.parquet for what curation dropped and why."
        )
    plans: dict[str, CaptionPlan] = {}
    for row in captions.to_dict("records"):
        check_caption_id(row["caption_id"])
        if not isinstance(row["text"], str) or not _shows_something(row["text"]):
            raise DataError(
                f"caption {row['caption_id']!r}: got {row['text']!r}; must have a letter, number or sign to "
                "draw. Run the curation pipeline, whose filters drop such captions and count them."
            )
        source, licence = (str(row.get(key, "unknown")) for key in ("source", "licence"))
        plans.setdefault(row["caption_id"], CaptionPlan(row["caption_id"], row["text"], source, licence))
    return [plans[caption_id] for caption_id in sorted(plans)]


def _shows_something(text: str) -> bool:
    return any(letter.isprintable() and not letter.isspace() for letter in text)


def make_record(
    caption: CaptionPlan,
    wanted: Wanted,
    images: list[dict[str, Any]],
    rejected: Sequence[int],
    truncated: bool,
) -> Record:
    """Returns a sample's record: enough to say what an image is and to make it again.

    The caption's line is left out: a line added above it would touch every record below. The indices of
    images that the safety checker blanked stand in it where there are any.
    """
    blanked = {REJECTED_UNSAFE: sorted(rejected)} if rejected else {}
    return {
        **blanked,
        "caption_id": caption.caption_id,
        "text": caption.text,
        "source": caption.source,
        "licence": caption.licence,
        "truncated": truncated,
        "generator_id": wanted.generator_id,
        "seed": wanted.seed,
        "images": sorted(images, key=lambda image: image["index"]),
    }


def make_image_entry(
    caption_id: str, seed: int, index: int, digest: str, size_px: tuple[Any, Any]
) -> dict[str, Any]:
    """Returns what a record says of one image; `size_px` is (width, height)."""
    return {
        "index": index,
        "member": member_name(caption_id, index),
        "seed": image_noise_seed(seed, caption_id, index),
        "digest": digest,
        "width_px": size_px[0],
        "height_px": size_px[1],
    }


def plan_image_set(
    captions: list[CaptionPlan], wanted: Wanted, store: Path, cache: SampleCache
) -> ImageSetPlan:
    """Compares what is wanted with what is in `store`, reading and verifying all of it.

    Args:
        captions: from `distinct_captions`.
        wanted: the rest of what is wanted.
        store: the image set's folder; may be absent.
        cache: where samples that left the set lie.
    """
    folder = store / SHARDS_FOLDER
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    scans = {path.name: scan_shard(path) for path in files if is_shard_name(path.name)}
    found = _locate(scans, wanted.num_shards)
    by_shard: dict[str, list[CaptionPlan]] = {}
    leaving: list[Leaving] = []
    from_cache: dict[Path, Record] = {}
    for caption in captions:
        planned = caption
        indices = wanted.indices_of(caption.caption_id)
        name = found.pop(caption.caption_id, None)
        if name is not None:
            sample = scans[name].samples[caption.caption_id]
            if _is_of(sample, caption, wanted):
                there = {*sample.digests, *sample.record.get(REJECTED_UNSAFE, [])}
                indices = wanted.indices_of(caption.caption_id, there)
            planned = _plan_to_keep(planned, wanted, indices, folder / name, sample)
            rest = set(sample.digests) - set(planned.kept)
            leaving.append(Leaving(folder / name, sample, tuple(sorted(rest))))
        if not planned.done.issuperset(indices):
            cached = cache.find(caption.caption_id, wanted.generator_id, wanted.seed)
            if cached is not None:
                path, sample = cached
                planned = _plan_to_keep(planned, wanted, indices, path, sample)
                if path in planned.kept.values():
                    from_cache[path] = sample.record
        missing = tuple(i for i in indices if i not in planned.done)
        own = shard_name(caption.caption_id, wanted.num_shards)
        by_shard.setdefault(own, []).append(replace(planned, missing=missing))
    shards = []
    for name, members in sorted(by_shard.items()):
        scan = scans.get(name)
        ready = scan is not None and _is_ready(scan, folder / name, members, wanted)
        samples = scan.samples if ready and scan is not None else {}
        records = [samples[caption.caption_id].record for caption in members] if ready else None
        shards.append(ShardPlan(name, members, records))
    # what is left of `found` are the captions that nobody wants
    for caption_id, name in sorted(found.items()):
        sample = scans[name].samples[caption_id]
        leaving.append(Leaving(folder / name, sample, tuple(sorted(sample.digests))))
    wanted_ids = {caption.caption_id for caption in captions}
    there = {caption_id for scan in scans.values() for caption_id in scan.samples}
    return ImageSetPlan(
        shards=shards,
        num_dropped=len(there - wanted_ids),
        faults=[fault for scan in scans.values() for fault in scan.faults],
        stale=[
            path
            for path in files
            if path.name.endswith(PARTIAL_SUFFIX) or (is_shard_name(path.name) and path.name not in by_shard)
        ],
        leaving=[each for each in leaving if each.indices],
        from_cache=from_cache,
    )


def _locate(scans: dict[str, ShardScan], num_shards: int) -> dict[str, str]:
    """Returns caption id -> shard that holds it.

    A shard of another count is read as well, so that changing the count costs no image. One of this
    count is believed for its own captions only: it may be written while others are read.
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
    """Returns the plan with those images of a sample that are wanted and not there yet."""
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
    """Tells whether a sample was drawn of this caption, by this generator, with this seed."""
    drawn = {key: sample.record.get(key) for key in ("text", "seed", "generator_id")}
    return drawn == {"text": caption.text, "seed": wanted.seed, "generator_id": wanted.generator_id}


def _is_ready(scan: ShardScan, path: Path, members: list[CaptionPlan], wanted: Wanted) -> bool:
    """Tells whether a shard is already what it is to be, to the byte."""
    if scan.faults or list(scan.samples) != [caption.caption_id for caption in members]:
        return False
    for caption in members:
        # a caption may have no image, where the safety checker blanked each
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
