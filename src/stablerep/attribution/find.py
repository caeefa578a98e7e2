"""Finds an image by its id, or by the path of a PNG that was exported or taken out of a shard."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.alignment.scores import read_scores
from stablerep.attribution.png import read_record
from stablerep.attribution.record import ImageRecord
from stablerep.caption_ids import is_caption_id
from stablerep.errors import DataError
from stablerep.generation.accounts.software import read_software
from stablerep.generation.image_sets.generator_file import read_generators
from stablerep.generation.image_sets.manifest import MANIFEST_FILE
from stablerep.storage.shards import (
    SHARDS_FOLDER,
    Record,
    ShardScan,
    digest_of,
    image_id_of,
    is_shard_name,
    member_name,
    read_members,
    scan_shard,
    shard_name,
)

_IMAGE_ID = re.compile(r"(?P<caption>[A-Za-z0-9_-]{1,64})\.(?P<index>\d{1,9})(\.png)?")


@dataclass(frozen=True)
class FoundImage:
    """An image with its record.

    Attributes:
        record: of it.
        data: its PNG as the image set holds it, without an exported one's metadata; None where it is missing.
        where: it was found.
        alignment: how well it matches its caption, None where that is not known.
        scorer_id: whose score this is, None likewise.
    """

    record: ImageRecord
    data: bytes | None
    where: str
    alignment: float | None = None
    scorer_id: str | None = None

    @property
    def intact(self) -> bool:
        """Whether the bytes are there and are those that were recorded when the image was made."""
        return self.data is not None and digest_of(self.data) == self.record.digest


def find_image(target: str, store: Path) -> FoundImage:
    """Finds an image.

    Args:
        target: an image id, `<caption id>.<k>`, or the path of a PNG. A file of that name comes first.
        store: the image set's folder.

    Raises:
        DataError: there is no such image; the message says which there are.
    """
    if _is_file(target):
        return _with_alignment(_find_by_file(Path(target), store), store)
    match = _IMAGE_ID.fullmatch(target)
    if match is None:
        hint = ""
        if is_caption_id(target):
            record = _sample(store, target)[1]
            hint = f" This caption's are {', '.join(_ids(record))}."
        raise DataError(
            f"image {target!r}: no such file and no image id; must be <caption id>.<k>, such as "
            f"c-0123456789abcdef.0, or the path of an exported PNG.{hint}"
        )
    return _with_alignment(find_by_id(match["caption"], int(match["index"]), store), store)


def _with_alignment(found: FoundImage, store: Path) -> FoundImage:
    """Adds the score of the set, where it is of these very bytes and this text."""
    scores, record = read_scores(store), found.record
    rows = scores[(scores["digest"] == record.digest) & (scores["text"] == record.text)]
    if rows.empty:
        return found
    row = rows.iloc[0]
    return replace(found, alignment=float(row["alignment"]), scorer_id=str(row["scorer_id"]))


def find_by_id(caption_id: str, index: int, store: Path) -> FoundImage:
    """Finds an image of the set.

    Raises:
        DataError: the set holds none of this caption, or fewer images of it.
    """
    shard, sample = _sample(store, caption_id)
    record = whole_record(sample, index, store)
    member = member_name(caption_id, index)
    data = read_members(shard, {member}).get(member)
    return FoundImage(record, data, f"{shard}: {member}")


def whole_record(sample: Record, index: int, store: Path) -> ImageRecord:
    """Joins what a sample, the set's generator and its software say of one image.

    Raises:
        DataError: the sample has no such image.
    """
    entry = next((image for image in sample["images"] if image["index"] == index), None)
    caption_id = sample["caption_id"]
    if entry is None:
        raise DataError(
            f"image {image_id_of(caption_id, index)!r}: no such image; must be one of this caption's: "
            f"{', '.join(_ids(sample))}."
        )
    return ImageRecord(
        caption_id=caption_id,
        index=index,
        text=sample["text"],
        source=sample["source"],
        licence=sample["licence"],
        truncated=sample["truncated"],
        set_seed=sample["seed"],
        noise_seed=entry["seed"],
        digest=entry["digest"],
        width_px=entry["width_px"],
        height_px=entry["height_px"],
        generator_id=sample["generator_id"],
        generator=read_generator(store, sample["generator_id"]),
        software=read_software(store).versions_of(
            image_id_of(caption_id, index), sample["generator_id"], sample["seed"]
        ),
    )


def read_generator(store: Path, generator_id: str) -> dict[str, Any]:
    """Returns what made a set's images; empty where it is not written down, as in a set that is half made."""
    return read_generators(store).get(generator_id, {})


def scan_shards(store: Path, names: Collection[str] | None = None) -> dict[str, ShardScan]:
    """Reads shards whole, digests verified; shard name -> what is in it.

    Args:
        store: the image set's folder; may be absent.
        names: of the shards; None for all of them.
    """
    paths = [path for path in _shards(store) if names is None or path.name in names]
    return {path.name: scan_shard(path) for path in paths}


def shards_of_caption(store: Path, caption_id: str) -> list[Path]:
    """Returns the shards that may hold a caption: one, or several while their number is being changed."""
    # the number of shards stands in the name
    return [
        path
        for path in _shards(store)
        if path.name == shard_name(caption_id, int(path.stem.rpartition("-")[2]))
    ]


def _shards(store: Path) -> list[Path]:
    folder = store / SHARDS_FOLDER
    return sorted(path for path in folder.iterdir() if is_shard_name(path.name)) if folder.is_dir() else []


def _is_file(target: str) -> bool:
    try:
        return Path(target).is_file()
    except OSError:
        return False  # a name that is too long, for instance


def _find_by_file(path: Path, store: Path) -> FoundImage:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    record, bare = read_record(data, str(path))
    if record is not None:
        return FoundImage(record, bare, str(path))
    row = _manifest_row(store, digest_of(data))
    if row is None:
        raise DataError(
            f"{path}: carries no record, and no image of {store} has its bytes; must be an image that "
            "`stablerep export` wrote, or one out of this image set's shards, unchanged."
        )
    found = find_by_id(str(row["caption_id"]), int(row["image_index"]), store)
    return FoundImage(found.record, data, str(path))


def _manifest_row(store: Path, digest: str) -> "pd.Series | None":
    path = store / MANIFEST_FILE
    if not path.is_file():
        return None
    manifest = pd.read_parquet(path, columns=["caption_id", "image_index", "digest"])
    rows = manifest[manifest["digest"] == digest]
    return None if rows.empty else rows.iloc[0]


def _sample(store: Path, caption_id: str) -> tuple[Path, Record]:
    """Returns the shard that holds a caption, and its record."""
    member = f"{caption_id}.json"
    for path in shards_of_caption(store, caption_id):
        data = read_members(path, {member}).get(member)
        if data is None:
            continue
        try:
            sample = json.loads(data)
            if sample["caption_id"] == caption_id and sample["images"]:
                return path, sample
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}: {member} is not a record. Run `kedro run --pipelines image_sets`: damaged "
                "images are made again."
            ) from error
    raise DataError(
        f"caption {caption_id!r}: has no image in {store / SHARDS_FOLDER} ({len(_shards(store))} shards); "
        "must be a caption of "
        "the image set. Their ids are in finished/images.parquet beside the shards; `kedro run --pipelines "
        "image_sets` makes the set."
    )


def _ids(sample: Record) -> list[str]:
    return [image_id_of(sample["caption_id"], image["index"]) for image in sample["images"]]
