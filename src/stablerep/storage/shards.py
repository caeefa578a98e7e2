"""Image sets on disk: WebDataset tar shards, one sample a caption.

A sample is `<caption id>.json` (the record: what was drawn, of what, by what, with the images' digests)
and `<caption id>.<k>.png` for each image. A shard's bytes are a function of its samples alone, it
appears under its name only when it is whole, and the shard of a caption follows from the caption's id.
Format: https://github.com/webdataset/webdataset. Why this one: docs/decisions/.

Legend: N images, (N, 3, H, W) uint8.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from stablerep.errors import DataError
from stablerep.storage.whole_files import written_whole

SHARDS_FOLDER = "shards"
# States of an image in a manifest. The second is a key of records as well: indices of the images that a
# safety checker blanked. They count as made, and no bytes of them are stored. The third's bytes are stored:
# another policy may take them back.
INTACT = "intact"
REJECTED_UNSAFE = "rejected_unsafe"
REJECTED_MISALIGNED = "rejected_misaligned"
_SHARD_NAME = re.compile(r"images-(\d{5,})-of-(\d{5,})\.tar")
# no dot: webdataset takes what stands before the first dot as the sample's key; no slash: they name files
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CHUNK_BYTES = 1 << 20

Record = dict[str, Any]


def digest_of(data: bytes) -> str:
    """Returns the digest that manifests carry: BLAKE2b of 128 bits, in hex."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def shard_name(caption_id: str, num_shards: int) -> str:
    """Returns the file name of the shard that holds a caption.

    Only `num_shards` and the id decide, so that an added or edited caption touches one shard.
    """
    bucket = int.from_bytes(hashlib.blake2b(caption_id.encode(), digest_size=8).digest(), "big")
    return f"images-{bucket % num_shards:05d}-of-{num_shards:05d}.tar"


def is_shard_name(name: str) -> bool:
    """Returns whether a file name is one of `shard_name`, for any number of shards."""
    return _SHARD_NAME.fullmatch(name) is not None


def image_id_of(caption_id: str, image_index: int) -> str:
    """Returns the name by which people ask for an image: `<caption id>.<k>`."""
    return f"{caption_id}.{image_index}"


def member_name(caption_id: str, image_index: int) -> str:
    """Returns the name of an image inside its shard."""
    return f"{image_id_of(caption_id, image_index)}.png"


def check_caption_id(caption_id: object) -> None:
    """Raises DataError for an id that cannot name a sample."""
    if not _is_id(caption_id):
        raise DataError(
            f"caption id: got {caption_id!r}; must be 1 to 64 letters, numerals, '-' or '_'. "
            "Make ids with stablerep.caption_ids.caption_id_of."
        )


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def encode_image(image: Tensor) -> bytes:
    """Encodes one image (3, H, W) uint8 as PNG; equal pixels give equal bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(buffer, format="PNG")
    return buffer.getvalue()


def decode_image(data: bytes) -> Tensor:
    """Decodes an image to (3, H, W) uint8.

    Raises:
        DataError: the bytes are not an image.
    """
    try:
        pixels = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"not an image that Pillow can decode ({error}).") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


# --------------------------------------------------------------------------------------- writing


def write_shard(path: Path, samples: Iterable[tuple[Record, Mapping[int, bytes]]]) -> None:
    """Writes a shard under a temporary name, syncs it and renames it.

    Args:
        path: of the shard.
        samples: records (with `caption_id`) and their encoded images by index, in any order.

    Raises:
        DataError: the disk refuses; what stood under `path` is untouched then.
    """
    with open_shard(path) as add:
        for record, images in sorted(samples, key=lambda sample: sample[0]["caption_id"]):
            add(record, images)


@contextmanager
def open_shard(path: Path) -> Iterator[Callable[[Record, Mapping[int, bytes]], None]]:
    """Writes a shard sample by sample: under a temporary name, synced and renamed at the end.

    Args:
        path: of the shard.

    Yields:
        What adds a sample: its record and its encoded images by index, by ascending caption id.

    Raises:
        DataError: the disk refuses. Whatever is raised, what stood under `path` is untouched.
    """
    # a writer of its own: a dying run and the next must not share a file, nor a machine that was given up too
    # early and the one that has its shard now
    advice = "The shards that were finished are kept; free some space or fix the permissions and run again."
    with written_whole(path, advice, uuid4().hex) as beside, beside.open("wb") as file:
        with _open_for_writing(file) as tar:
            yield partial(_add_sample, tar)
        file.flush()


def _add_sample(tar: tarfile.TarFile, record: Record, images: Mapping[int, bytes]) -> None:
    caption_id = record["caption_id"]
    _add(tar, f"{caption_id}.json", encode_record(record))
    for index in sorted(images):
        _add(tar, member_name(caption_id, index), images[index])


def _open_for_writing(file: Any) -> tarfile.TarFile:
    return tarfile.open(fileobj=file, mode="w|", format=tarfile.USTAR_FORMAT)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # time, owner and group stay 0: equal samples give equal bytes
    info.size = len(data)
    info.mode = 0o644
    tar.addfile(info, io.BytesIO(data))


def encode_record(record: Record) -> bytes:
    """Returns the bytes of a sample's record; equal records give equal bytes."""
    return json.dumps(record, ensure_ascii=False, sort_keys=True, indent=1).encode()


# --------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class StoredSample:
    """What a shard holds of one caption.

    Attributes:
        record: the sample's JSON.
        digests: image index -> digest, of the images whose bytes are there and match the record.
    """

    record: Record
    digests: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ShardScan:
    """A shard as it was found.

    Attributes:
        samples: caption id -> what is intact.
        faults: what is not, one sentence each; empty for a shard as `write_shard` left it.
        digest: of the whole file; empty where it is no tar to its end.
    """

    samples: dict[str, StoredSample]
    faults: list[str]
    digest: str = ""

    @property
    def num_images(self) -> int:
        """Images that were made and are intact, and those that a safety checker blanked."""
        blanked = (sample.record.get(REJECTED_UNSAFE, []) for sample in self.samples.values())
        return sum(map(len, blanked)) + sum(len(sample.digests) for sample in self.samples.values())


def scan_shard(path: Path) -> ShardScan:
    """Reads a shard whole and verifies every digest; never raises for what it finds in it."""
    samples: dict[str, StoredSample] = {}
    faults: list[str] = []
    wanted: dict[str, tuple[str, int, str]] = {}
    seen: set[str] = set()
    read = _Digest()
    for name, data in _members(path, faults, read):
        if name in seen:
            faults.append(f"{path.name}: {name} stands there twice")
            continue
        seen.add(name)
        if name.endswith(".json"):
            sample = _parse_record(path, name, data, faults)
            if sample is not None:
                caption_id = sample.record["caption_id"]
                samples[caption_id] = sample
                for image in sample.record["images"]:
                    key = member_name(caption_id, image["index"])
                    wanted[key] = (caption_id, image["index"], image["digest"])
            continue
        if name not in wanted:
            faults.append(f"{path.name}: {name} is in no record before it")
            continue
        caption_id, index, digest = wanted.pop(name)
        if digest_of(data) == digest:
            samples[caption_id].digests[index] = digest
        else:
            faults.append(f"{path.name}: {name} has other bytes than its record says")
    faults += [f"{path.name}: {name} is missing" for name in wanted]
    return ShardScan(samples, faults, read.hexdigest if read.is_whole else "")


def _parse_record(path: Path, name: str, data: bytes, faults: list[str]) -> StoredSample | None:
    try:
        record = json.loads(data)
        fits = (
            data == encode_record(record)
            and f"{record['caption_id']}.json" == name
            and _is_id(record["caption_id"])
            and _is_id(record["generator_id"])
            and isinstance(record["seed"], int)
            and all(
                isinstance(image["index"], int) and isinstance(image["digest"], str)
                for image in record["images"]
            )
            and all(isinstance(index, int) for index in record.get(REJECTED_UNSAFE, []))
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        fits = False
    if fits:
        return StoredSample(record)
    faults.append(f"{path.name}: {name} is not a record of a sample")
    return None


def _members(
    path: Path, faults: list[str] | None = None, read: "_Digest | None" = None
) -> Iterator[tuple[str, bytes]]:
    """Yields the files of a tar as far as it can be read; links and folders are none.

    Given `faults`, writes the same files again into a digest on the way: a shard that differs anywhere
    from what `write_shard` would write is a fault. tarfile alone passes in silence over a broken header, a
    cut between two members and what stands in the padding. `read` becomes the digest of the file then.
    """
    read, written = read or _Digest(), _Digest()
    try:
        with (
            path.open("rb") as file,
            tarfile.open(fileobj=file, mode="r:") as tar,
            _open_for_writing(written) as rewritten,
        ):
            for info in tar:
                # tarfile follows a link, and raises KeyError where it leads nowhere
                stream = tar.extractfile(info) if info.isreg() else None
                if stream is None:
                    continue
                data = stream.read()
                if faults is not None:
                    _add(rewritten, info.name, data)
                yield info.name, data
            if faults is not None:
                file.seek(0)
                while chunk := file.read(_CHUNK_BYTES):
                    read.write(chunk)
                read.is_whole = True
        fault = None if read == written else "it is cut short or overwritten somewhere"
    except (tarfile.TarError, OSError, ValueError) as error:
        fault = str(error)
    if fault is not None and faults is not None:
        faults.append(f"{path.name}: {fault}")


class _Digest:
    """A file to write to, of which only the digest is kept; `is_whole` once all of it was written."""

    def __init__(self) -> None:
        self.digest = hashlib.blake2b(digest_size=16)
        self.is_whole = False

    @property
    def hexdigest(self) -> str:
        return self.digest.hexdigest()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return len(data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Digest) and self.digest.digest() == other.digest.digest()

    __hash__ = None  # type: ignore[assignment]


def read_members(path: Path, names: set[str]) -> dict[str, bytes]:
    """Returns the bytes of the named members that the shard holds, unverified."""
    if not names or not path.is_file():
        return {}
    return {name: data for name, data in _members(path) if name in names}


def locate_members(path: Path, damaged: bool = False) -> dict[str, tuple[int, int]]:
    """Returns where each file of a shard stands: offset in the tar and number of bytes.

    Args:
        path: of the shard.
        damaged: whether the shard may be cut or overwritten; what stands before that is returned.

    Raises:
        DataError: the shard is missing, or no tar to its end and that is not allowed.
    """
    places: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(path, mode="r:") as tar:
            for info in tar:
                places[info.name] = (info.offset_data, info.size)
    except (tarfile.TarError, OSError) as error:
        if damaged and path.is_file():
            return places
        raise DataError(
            f"{path}: cannot be read ({error}). Run `kedro run --pipelines image_sets`: what is missing or "
            "damaged is made again."
        ) from error
    return places


def read_images(store: Path, manifest: pd.DataFrame) -> tuple[Tensor, list[str]]:
    """Reads images in the order of a manifest and verifies their digests.

    Args:
        store: the image set's folder.
        manifest: rows with `shard`, `member`, `digest`, `caption_id`; any subset, in any order.

    Returns:
        images (N, 3, H, W) uint8, and the N caption ids.

    Raises:
        DataError: an image is missing, has other bytes than the manifest says, is undecodable, or
            has another size than the first.
    """
    images: Tensor | None = None
    columns = manifest.reset_index(drop=True)
    for shard, rows in columns.groupby("shard", sort=True):
        path = store / SHARDS_FOLDER / str(shard)
        found = read_members(path, set(rows["member"]))
        for position, member, digest in zip(rows.index, rows["member"], rows["digest"], strict=True):
            image = _verified_image(path, member, found.get(member), digest)
            if images is None:
                images = torch.empty((len(columns), *image.shape), dtype=torch.uint8)
            if image.shape != images.shape[1:]:
                raise DataError(
                    f"{path}: {member} is {tuple(image.shape)}; must be {tuple(images.shape[1:])} as "
                    "the others. Make the image set again with one size: kedro run --pipelines image_sets."
                )
            images[position] = image
    if images is None:
        images = torch.empty((0, 3, 0, 0), dtype=torch.uint8)
    return images, [str(caption_id) for caption_id in columns["caption_id"]]


def _verified_image(path: Path, member: str, data: bytes | None, digest: str) -> Tensor:
    fault = "is missing" if data is None else None
    if data is not None and digest_of(data) != digest:
        fault = f"has digest {digest_of(data)}; must be {digest}"
    if data is None or fault is not None:
        raise DataError(
            f"{path}: {member} {fault}. Run `kedro run --pipelines image_sets`: what is missing or "
            "damaged is made again."
        )
    return decode_image(data)
