"""Images in Parquet files, as bytes or as Hugging Face's struct of bytes and path."""

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stablerep.corpora.columns import ChosenColumns, ColumnNames, check_column_names
from stablerep.corpora.corpus import WHERE
from stablerep.corpora.file_groups import FilePatterns, find_files, patterns_of
from stablerep.corpora.reading_in_place import Place
from stablerep.corpora.real_images import RealImages
from stablerep.errors import DataError, check_range
from stablerep.storage.outages import file_faults
from stablerep.storage.pixels import UnreadableImageError

logger = logging.getLogger(__name__)

_USUAL = {name: name for name in ("image", "caption", "label", "split", "key", "unit")}
_MIB = 2**20


@dataclass
class ParquetImages(RealImages):
    """Images in Parquet files.

    A row group is decoded as a whole. Reading in random order is fast where all row groups fit into
    `cache_mib`; larger data belong in small row groups (about 100 images, as the Hugging Face Hub has them),
    in WebDataset shards, or in files of their own.

    Attributes:
        path: a file, a glob, a list of these, or `{train: ..., test: ...}` with one of these for each split.
        columns: names of the columns: `{image: ..., caption: ..., label: ..., split: ..., key: ..., unit:
            ...}`. One that is not given is read where it has this very name; null leaves it out; `label` may
            map tasks to columns.
        cache_mib: of decoded row groups, kept by each process.
    """

    path: FilePatterns
    columns: ColumnNames | None = None
    cache_mib: float = 1024

    def __post_init__(self) -> None:
        """Checks the settings; raises ConfigError."""
        super().__post_init__()
        patterns = patterns_of(self.path)
        if self.name == RealImages.name:
            self.name = Path(patterns[0][0]).parent.name or "parquet"
        check_column_names(self.columns)
        check_range("corpus.cache_mib", self.cache_mib, 0, where=WHERE)

    def inputs(self) -> list[str]:
        """Returns the paths and globs."""
        return [pattern for pattern, _ in patterns_of(self.path)]

    def _reader(self) -> "ParquetReader":
        files = find_files(self.path)
        chosen = {file.path: _columns_of(file.path, self.columns).fields["image"] for file in files}
        return ParquetReader(chosen, self.cache_mib)

    def _list_images(self) -> dict[str, Any]:
        listing: dict[str, Any] = {}
        size_bytes = 0
        for file in find_files(self.path):
            parquet = _opened(file.path)
            columns = _columns_of(file.path, self.columns)
            others = [column for field_, column in columns.all() if field_ != "image"]
            try:
                table = parquet.read(columns=others, use_threads=True).to_pandas(ignore_metadata=True)
            except (OSError, ValueError) as error:
                raise DataError(
                    f"{file.path}: cannot be read as Parquet ({error}). Write it again."
                ) from error
            num_rows = parquet.metadata.num_rows
            size_bytes += _size_of(parquet, columns.fields["image"])
            status = Path(file.path).stat()
            part: dict[str, Any] = {
                "key": [f"{Path(file.path).stem}:{row}" for row in range(num_rows)],
                "path": [file.path] * num_rows,
                "row": list(range(num_rows)),
                "file_bytes": [status.st_size] * num_rows,
                "mtime_ns": [status.st_mtime_ns] * num_rows,
            }
            columns.copy_into(part, table)
            if file.split is not None:
                part["split"] = [file.split] * num_rows
                part["key"] = [f"{file.split}/{key}" for key in part["key"]]  # unique in a split at least
            for name, values in part.items():
                listing.setdefault(name, []).extend(values)
            _check_same_columns(file.path, part, listing)
        if not listing["key"]:
            raise DataError(
                f"{self.inputs()[0]}: has no rows; must have one per image. Set corpus.path in {WHERE}."
            )
        if size_bytes > self.cache_mib * _MIB:
            logger.warning(
                "The images are %.0f MiB and corpus.cache_mib is %.0f: reading them in random order decodes "
                "row groups again and again.", size_bytes / _MIB, self.cache_mib,
            )  # fmt: skip
        return listing

    def _class_names_in_data(self) -> dict[str, list[str]]:
        """Returns the names that the Hugging Face Hub writes into a file's metadata."""
        first = find_files(self.path)[0].path
        written = (_opened(first).schema_arrow.metadata or {}).get(b"huggingface")
        features = json.loads(written)["info"]["features"] if written else {}
        labels = _columns_of(first, self.columns).labels
        return {
            task: features[column]["names"]
            for task, column in labels.items()
            if isinstance(features.get(column), Mapping) and "names" in features[column]
        }


def _opened(path: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file_faults(Path(path)):
            return pq.ParquetFile(path, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error}). Write it again.") from error


def _columns_of(path: str, given: ColumnNames | None) -> ChosenColumns:
    """Chooses the columns of a file.

    Raises:
        DataError: one is not there, or the images' column holds no bytes.
    """
    import pyarrow as pa

    schema = _opened(path).schema_arrow
    columns = ChosenColumns.of({"image": "image", **(given or {})}, _USUAL, schema.names, path)
    kind = schema.field(columns.fields["image"]).type
    if pa.types.is_struct(kind):
        kind = kind.field("bytes").type if "bytes" in [each.name for each in kind] else pa.null()
    tests = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    if not any(test(kind) for test in tests):
        raise DataError(
            f"{path}: column {columns.fields['image']!r} has the type "
            f"{schema.field(columns.fields['image']).type}; it must be bytes of image files, or a struct "
            f"with `bytes`. Set corpus.columns.image in {WHERE}."
        )
    return columns


def _size_of(parquet: Any, column: str) -> int:
    """Returns the bytes of a column and all columns below it, decoded."""
    metadata = parquet.metadata
    chunks = (
        metadata.row_group(group).column(place)
        for group in range(metadata.num_row_groups)
        for place in range(metadata.num_columns)
    )
    return sum(
        chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] == column
    )


def _check_same_columns(path: str, part: dict[str, Any], listing: dict[str, Any]) -> None:
    num_rows = len(listing["key"])
    odd = sorted(name for name, values in listing.items() if len(values) != num_rows) or sorted(
        set(listing) - set(part)
    )
    if odd:
        raise DataError(
            f"{path}: differs from the files before it in {', '.join(odd)}; all must have the same columns. "
            f"Set corpus.columns in {WHERE}."
        )


@dataclass
class ParquetReader:
    """Reads rows of Parquet files; row groups that were decoded last are kept.

    Attributes:
        columns: path -> column of the images.
        cache_mib: of decoded row groups; at least one is kept.
    """

    columns: dict[str, str]
    cache_mib: float
    _kept: OrderedDict[tuple[str, int], Any] = field(default_factory=OrderedDict, repr=False)
    _starts: dict[str, list[int]] = field(default_factory=dict, repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Returns what another process needs: no lock, no decoded images."""
        return {"columns": self.columns, "cache_mib": self.cache_mib}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Starts with an empty cache."""
        self.__init__(**state)  # type: ignore[misc]

    def read(self, place: Place) -> bytes:
        """Returns the bytes of an image; see `ImageReader.read`."""
        with self._lock:  # threads that ask for one row group must not all decode it
            group, row = self._find(place)
            cell = self._group(place.path, group)[row].as_py()
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if not data:
            raise UnreadableImageError("has no bytes in its row")
        return bytes(data)

    def _find(self, place: Place) -> tuple[int, int]:
        """Returns the row group of a row, and the row in it."""
        import bisect

        if place.path not in self._starts:
            metadata = _opened(place.path).metadata
            starts = [0]
            for group in range(metadata.num_row_groups):
                starts.append(starts[-1] + metadata.row_group(group).num_rows)
            self._starts[place.path] = starts
        starts = self._starts[place.path]
        if place.row >= starts[-1]:
            raise UnreadableImageError(f"is row {place.row} of {place.path}, which has {starts[-1]} rows now")
        group = bisect.bisect_right(starts, place.row) - 1
        return group, place.row - starts[group]

    def _group(self, path: str, group: int) -> Any:
        kept = self._kept.get((path, group))
        if kept is None:
            with file_faults(Path(path)):
                kept = (
                    _opened(path)
                    .read_row_group(group, columns=[self.columns[path]])
                    .column(0)
                    .combine_chunks()
                )
            self._kept[path, group] = kept
        self._kept.move_to_end((path, group))
        while (
            len(self._kept) > 1 and sum(each.nbytes for each in self._kept.values()) > self.cache_mib * _MIB
        ):
            self._kept.popitem(last=False)
        return kept
