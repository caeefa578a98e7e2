"""Samples that left an image set, kept beside it for the day when their caption comes back.

One file a sample, written and verified as a shard is. Whatever else changes, a file's name says what its
images were drawn of and by what: caption, generator and seed. The folder is no part of the image set.
"""

import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from stablerep.curation.people.takedowns import CAPTION, GENERATOR, SOURCE, taken_down
from stablerep.storage.shards import (
    Record,
    StoredSample,
    locate_members,
    member_name,
    read_members,
    scan_shard,
    write_shard,
)

logger = logging.getLogger(__name__)

SOFTWARE = "software"  # key of a record: image index, as text -> versions
_SUFFIX = ".tar"
_GENERATOR_PREFIX = "g-"  # of a generator's id; a model's begins otherwise


class SampleCache:
    """A folder of samples, of bounded size; the ones that lie there longest leave first."""

    def __init__(self, store: Path, max_bytes: int) -> None:
        """Names the folder beside an image set's; it need not be there.

        Args:
            store: the image set's folder.
            max_bytes: of all files together; 0 keeps nothing.
        """
        self.folder = store.with_name(store.name + ".cache")
        self.max_bytes = max_bytes
        self._shard: Path | None = None  # the one that was copied from last
        self._places: dict[str, tuple[int, int]] = {}  # of its files

    def path_of(self, caption_id: str, generator_id: str, seed: int) -> Path:
        """Returns where a sample lies, if it is there."""
        return self.folder / f"{caption_id}.{generator_id}.{seed}{_SUFFIX}"

    def find(self, caption_id: str, generator_id: str, seed: int) -> tuple[Path, StoredSample] | None:
        """Returns a sample whose bytes are as its record says; of a damaged one what is intact."""
        path = self.path_of(caption_id, generator_id, seed)
        if not path.is_file():
            return None
        scan = scan_shard(path)
        for fault in scan.faults:
            logger.warning("%s: %s", self.folder.name, fault)
        sample = scan.samples.get(caption_id)
        return None if sample is None else (path, sample)

    def has_images_of(self, generator_id: str, seed: int) -> bool:
        """Tells whether a generator's images with this seed lie here."""
        return any(True for _ in self.folder.glob(f"*.{generator_id}.{seed}{_SUFFIX}"))

    def put(
        self,
        sample: StoredSample,
        shard: Path,
        indices: Collection[int],
        versions: Mapping[int, Mapping[str, str]],
    ) -> Path:
        """Copies images of a sample, beside those of it that are here already.

        Samples of one shard should follow each other: the places of its files are then looked up once.

        Args:
            sample: as a scan of `shard` found it.
            shard: that holds it.
            indices: of the images to copy.
            versions: index -> versions of the software that made the image, for when it comes back.

        Returns:
            Where they lie.
        """
        record = sample.record
        caption_id = record["caption_id"]
        images = self._read_from_shard(shard, caption_id, indices)
        entries = {image["index"]: image for image in record["images"] if image["index"] in images}
        software = {str(index): dict(versions[index]) for index in images if index in versions}
        path = self.path_of(caption_id, record["generator_id"], record["seed"])
        before = self.find(caption_id, record["generator_id"], record["seed"])
        if before is not None:
            known = before[1]
            images = _read(path, caption_id, known.digests) | images
            entries = {image["index"]: image for image in known.record["images"]} | entries
            software = {**known.record.get(SOFTWARE, {}), **software}
        merged = {**record, "images": [entries[index] for index in sorted(images)], SOFTWARE: software}
        write_shard(path, [(merged, images)])
        return path

    def _read_from_shard(self, shard: Path, caption_id: str, indices: Collection[int]) -> dict[int, bytes]:
        if shard != self._shard:
            self._shard, self._places = shard, locate_members(shard, damaged=True)
        images = {}
        with shard.open("rb") as file:
            for index in indices:
                place = self._places.get(member_name(caption_id, index))
                if place is not None:
                    file.seek(place[0])
                    images[index] = file.read(place[1])
        return images

    def forget(self, paths: Collection[Path]) -> None:
        """Removes samples that are part of the image set again."""
        for path in paths:
            path.unlink(missing_ok=True)

    def forget_taken_down(self, takedowns: pd.DataFrame) -> int:
        """Removes the samples of captions, sources and generators that were taken down; returns how many.

        Args:
            takedowns: as `stablerep.curation.people.takedowns.read_takedowns` gives them.
        """
        gone = {kind: taken_down(takedowns, kind) for kind in (CAPTION, SOURCE, GENERATOR)}
        # a model's id says nothing of its generators' ids, which is all that a record has
        everything = any(not what.startswith(_GENERATOR_PREFIX) for what in gone[GENERATOR])
        num = 0
        for path in self._files() if any(gone.values()) else []:
            record = _read_record(path)
            if (
                everything
                or record.get("caption_id") in gone[CAPTION]
                or record.get("source") in gone[SOURCE]
                or record.get("generator_id") in gone[GENERATOR]
            ):
                path.unlink(missing_ok=True)
                num += 1
        return num

    def trim(self) -> None:
        """Removes what was put there first until the rest is within the bound."""
        found = [(path, path.stat()) for path in self._files()]
        oldest_first = sorted(found, key=lambda each: (each[1].st_mtime_ns, each[0].name))
        excess = sum(stat.st_size for _, stat in found) - self.max_bytes
        for path, stat in oldest_first:
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= stat.st_size

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{_SUFFIX}")) if self.folder.is_dir() else []


def _read(path: Path, caption_id: str, indices: Collection[int]) -> dict[int, bytes]:
    members = {member_name(caption_id, index): index for index in indices}
    return {members[name]: data for name, data in read_members(path, set(members)).items()}


def _read_record(path: Path) -> Record:
    """Returns a file's record; an empty one where it cannot be read."""
    name = f"{path.name.partition('.')[0]}.json"
    try:
        return dict(json.loads(read_members(path, {name})[name]))
    except (KeyError, ValueError, TypeError):
        return {}
