"""The table of a corpus's real images: every file is read once, for its digest and its size.

A corpus lists its images first, which is cheap (keys, places, captions, labels, splits); the digests follow
from reading every file, in threads. What did not change since an earlier table is not read again.
"""

import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pandas as pd

from stablerep.corpora.corpus import IMAGE_COLUMNS, WHERE, label_column, tasks_in
from stablerep.corpora.decoding import decode_rgb
from stablerep.corpora.reading_in_place import ImageReader, Place
from stablerep.errors import DataError
from stablerep.storage.outages import MissingFileError
from stablerep.storage.pixels import UnreadableImageError
from stablerep.storage.shards import digest_of

logger = logging.getLogger(__name__)

NUM_UNREADABLE, UNREADABLE = "num_unreadable", "unreadable"  # in a table's attrs
_FALLBACKS: dict[str, Any] = {"offset": -1, "size_bytes": -1, "row": -1, "file_bytes": -1, "mtime_ns": -1}
_SAME = ["key", "path", "offset", "size_bytes", "row", "file_bytes", "mtime_ns"]  # then the bytes are, too
_NUM_SHOWN = 5
_CHUNK_SIZE = 1024  # images handed to the threads at once
_PROGRESS_S = 5.0


@dataclass(frozen=True, slots=True)
class _Measured:
    digest: str
    width_px: int
    height_px: int


def completed_listing(columns: dict[str, Any]) -> pd.DataFrame:
    """Returns a listing with all its columns: `IMAGE_COLUMNS` without what follows from the bytes.

    Args:
        columns: at least `key` and `path`, a value per image; `label.<task>` as they stand in the data.

    Raises:
        DataError: a key is empty or is not UTF-8, or a unit is missing.
    """
    keys = [str(key) for key in columns["key"]]
    bad = [key for key in keys if not key or not _is_utf8(key)]
    if bad:
        raise DataError(
            f"corpus: {len(bad)} keys of images are empty or not UTF-8, such as {ascii(bad[0])}. Rename "
            "these images."
        )
    units = columns.get("unit") or keys
    if any(unit is None or unit != unit or unit == "" for unit in units):  # nan != nan
        raise DataError(
            "corpus: an image has no unit; each must have one. Fill the column, or do not name it."
        )
    listing = {
        **{name: columns.get(name, [value] * len(keys)) for name, value in _FALLBACKS.items()},
        "key": keys,
        "path": [str(path) for path in columns["path"]],
        "captions": columns.get("captions", [[] for _ in keys]),
        "split": columns.get("split", [None] * len(keys)),
        "unit": [str(unit) for unit in units],
    }
    table = pd.DataFrame({name: listing[name] for name in IMAGE_COLUMNS if name in listing})
    for name, values in columns.items():
        if name.startswith(label_column("")):
            table[name] = pd.Series(values, dtype=object)
    return table.astype(dict.fromkeys(_FALLBACKS, "int64") | {"split": object, "captions": object})


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def measure_images(
    listing: pd.DataFrame, reader: ImageReader, previous: pd.DataFrame | None, max_unreadable_share: float
) -> pd.DataFrame:
    """Reads every image for its digest and size, and leaves out what cannot be read.

    Args:
        listing: of the images; splits and labels as they are in the final table.
        reader: of their bytes.
        previous: an earlier table, of which unchanged rows are taken.
        max_unreadable_share: of the images; above it the whole table is refused.

    Returns:
        The image table. Its `attrs` hold the number of unreadable images and the names of the first.

    Raises:
        DataError: too many are unreadable, or the file system failed.
    """
    known = _known(previous)
    found: list[_Measured | str] = []
    start = shown = time.monotonic()
    for measured in _measured(listing, reader, known):
        found.append(measured)
        now = time.monotonic()
        if now - shown > _PROGRESS_S:
            shown, rate = now, len(found) / (now - start)
            logger.info(
                "Table of images: %d of %d, %.0f images/s, %.0f s left",
                len(found), len(listing), rate, (len(listing) - len(found)) / rate,
            )  # fmt: skip
    faults = [
        f"{key}: {each}" for key, each in zip(listing["key"], found, strict=True) if isinstance(each, str)
    ]
    _check_unreadable(faults, len(listing), max_unreadable_share)
    readable = [each for each in found if isinstance(each, _Measured)]
    table = listing[[isinstance(each, _Measured) for each in found]].reset_index(drop=True)
    table["digest"] = [each.digest for each in readable]
    table["width_px"] = pd.Series([each.width_px for each in readable], dtype="int64")
    table["height_px"] = pd.Series([each.height_px for each in readable], dtype="int64")
    table = table[[*IMAGE_COLUMNS, *map(label_column, tasks_in(table))]]
    table.attrs = {NUM_UNREADABLE: len(faults), UNREADABLE: faults[:_NUM_SHOWN]}
    return table


def _known(previous: pd.DataFrame | None) -> dict[tuple[Any, ...], _Measured]:
    if previous is None:
        return {}
    rows = previous[previous["mtime_ns"] >= 0]
    measured = map(_Measured, rows["digest"], rows["width_px"], rows["height_px"])
    return dict(zip(zip(*(rows[name] for name in _SAME), strict=True), measured, strict=True))


def _measured(
    listing: pd.DataFrame, reader: ImageReader, known: dict[tuple[Any, ...], _Measured]
) -> Iterator[_Measured | str]:
    def measure(row: tuple[Any, ...]) -> _Measured | str:
        if row in known:
            return known[row]
        _, path, offset, size_bytes, number, _, _ = row
        try:
            data = reader.read(Place(path, offset, size_bytes, number))
            height_px, width_px = decode_rgb(data).shape[1:]
        except UnreadableImageError as error:
            return str(error)
        except MissingFileError:
            return "is missing"
        return _Measured(digest_of(data), width_px, height_px)

    rows = zip(*(listing[name].tolist() for name in _SAME), strict=True)
    # files wait for the disk, decoders for a core; more threads than cores fill both
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1), "image-table") as threads:
        while chunk := list(islice(rows, _CHUNK_SIZE)):  # a task for each image at once would fill the memory
            yield from threads.map(measure, chunk)


def _check_unreadable(faults: list[str], num_images: int, max_share: float) -> None:
    if not faults:
        return
    shown = "; ".join(faults[:_NUM_SHOWN])
    share = len(faults) / num_images
    if share > max_share:
        raise DataError(
            f"corpus: {len(faults)} of {num_images} images cannot be read ({share:.1%}); at most "
            f"{max_share:.1%} may be unreadable. The first: {shown}. Repair or remove them, or raise "
            f"corpus.max_unreadable_share in {WHERE}."
        )
    logger.warning("%d of %d images cannot be read and are left out: %s", len(faults), num_images, shown)
