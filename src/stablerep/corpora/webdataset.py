"""Images in WebDataset shards: uncompressed tars, one sample per common name.

Format: https://github.com/webdataset/webdataset. An image is read by its place in the tar; nothing is
    unpacked.
"""

import json
import logging
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from stablerep.corpora.columns import ChosenColumns, ColumnNames, check_column_names, texts_of
from stablerep.corpora.corpus import WHERE, label_column
from stablerep.corpora.file_groups import FilePatterns, GroupedFile, find_files, patterns_of
from stablerep.corpora.labels import DEFAULT_TASK
from stablerep.corpora.reading_in_place import FileReader
from stablerep.corpora.real_images import RealImages
from stablerep.errors import DataError
from stablerep.storage.shards import locate_members

logger = logging.getLogger(__name__)

IMAGE_ENDINGS = ("jpg", "jpeg", "png", "webp")
_USUAL = {"caption": "caption", "label": "label", "split": "split", "unit": "unit"}


@dataclass(frozen=True, slots=True)
class _Span:
    offset: int
    size_bytes: int


@dataclass
class _Sample:
    images: dict[str, _Span] = field(default_factory=dict)
    texts: dict[str, _Span] = field(default_factory=dict)


@dataclass
class WebDataset(RealImages):
    """Images in WebDataset shards.

    A sample is `<name>.jpg` (or jpeg, png, webp; several as `<name>.0.png`, `<name>.1.png`) with any of
    `<name>.txt` (a caption), `<name>.cls` (a label) and `<name>.json` (an object).

    Attributes:
        path: a shard, a glob, a list of these, or `{train: ..., test: ...}` with one of these for each split.
        columns: keys of the JSON, where they are other than usual: `{caption: ..., label: ..., split: ...,
            unit: ...}`; null leaves one out; `label` may map tasks to keys. A sample's `.txt` and `.cls`
                come first.
    """

    path: FilePatterns
    columns: ColumnNames | None = None

    def __post_init__(self) -> None:
        """Checks the settings; raises ConfigError."""
        super().__post_init__()
        patterns = patterns_of(self.path)
        if self.name == RealImages.name:
            self.name = Path(patterns[0][0]).parent.name or "webdataset"
        check_column_names(self.columns)

    def inputs(self) -> list[str]:
        """Returns the paths and globs."""
        return [pattern for pattern, _ in patterns_of(self.path)]

    def _reader(self) -> FileReader:
        return FileReader()

    def _list_images(self) -> dict[str, Any]:
        rows = [row for file in find_files(self.path) for row in self._list_shard(file)]
        if not rows:
            raise DataError(
                f"{self.inputs()[0]}: has no images; members must end in {', '.join(IMAGE_ENDINGS)}. Set "
                f"corpus.path in {WHERE}."
            )
        there = {key for row in rows for key in row["record"]}
        columns = ChosenColumns.of(self.columns, _USUAL, sorted(there), self.inputs()[0])
        names = [name for name in rows[0] if name not in ("record", "text", "cls", "split")]
        listing: dict[str, Any] = {name: [row[name] for row in rows] for name in names}
        in_record = {
            field_: [row["record"].get(column) for row in rows] for field_, column in columns.fields.items()
        }
        nothing = [None] * len(rows)
        listing["captions"] = [
            texts_of(row["text"] if row["text"] is not None else caption)
            for row, caption in zip(rows, in_record.get("caption", nothing), strict=True)
        ]
        listing["split"] = [
            row["split"] or split for row, split in zip(rows, in_record.get("split", nothing), strict=True)
        ]
        if "unit" in in_record:
            listing["unit"] = in_record["unit"]
        labels = {
            task: [row["record"].get(column) for row in rows] for task, column in columns.labels.items()
        }
        if any(row["cls"] is not None for row in rows):
            own = labels.get(DEFAULT_TASK, nothing)
            labels[DEFAULT_TASK] = [
                label if row["cls"] is None else row["cls"] for row, label in zip(rows, own, strict=True)
            ]
        return listing | {label_column(task): values for task, values in labels.items()}

    def _list_shard(self, file: GroupedFile) -> list[dict[str, Any]]:
        """Returns a row per image of a shard; texts and records are read, images are not."""
        samples = _samples_of(file.path)
        status = Path(file.path).stat()
        prefix = "" if file.split is None else f"{file.split}/"  # names are unique in a split at least
        rows = []
        with Path(file.path).open("rb") as shard:

            def read(span: _Span | None) -> bytes | None:
                if span is None:
                    return None
                shard.seek(span.offset)
                return shard.read(span.size_bytes)

            for name, sample in samples.items():
                text, label = read(sample.texts.get("txt")), read(sample.texts.get("cls"))
                record = _record_of(f"{file.path}: {name}.json", read(sample.texts.get("json")))
                for ending, span in sample.images.items():
                    number, _, _ = ending.rpartition(".")
                    rows.append(
                        {
                            "key": prefix + (f"{name}.{number}" if number else name),
                            "path": file.path,
                            "offset": span.offset,
                            "size_bytes": span.size_bytes,
                            "file_bytes": status.st_size,
                            "mtime_ns": status.st_mtime_ns,
                            "text": None if text is None else text.decode("utf-8", "replace").strip(),
                            "cls": None if label is None else label.decode("utf-8", "replace").strip(),
                            "record": record,
                            "split": file.split,
                        }
                    )
        return rows


def _samples_of(path: str) -> dict[str, _Sample]:
    """Returns the samples of a shard in their order; what is neither image nor text is left out."""
    try:
        members = locate_members(Path(path))
    except DataError as error:
        raise DataError(
            f"{path}: cannot be read as an uncompressed tar to its end ({error.__cause__}). Unpack or copy "
            "it again."
        ) from error
    _check_end(path, max((offset + size for offset, size in members.values()), default=0))
    samples: dict[str, _Sample] = {}
    for member, (offset, size_bytes) in members.items():
        parts = PurePosixPath(member)
        stem, _, ending = parts.name.partition(".")
        ending = ending.lower()
        if not stem:  # hidden, such as ._a.jpg of macOS's tar
            continue
        sample = samples.setdefault((parts.parent / stem).as_posix(), _Sample())
        if ending.rpartition(".")[2] in IMAGE_ENDINGS:
            sample.images[ending] = _Span(offset, size_bytes)
        elif ending in ("txt", "cls", "json"):
            sample.texts[ending] = _Span(offset, size_bytes)
    return samples


def _check_end(path: str, end: int) -> None:
    """Raises DataError unless zeros follow the last member; a cut between members looks like an end."""
    with Path(path).open("rb") as shard:
        shard.seek(-(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        if shard.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise DataError(f"{path}: is cut short: the mark of a tar's end is missing. Copy it again.")


def _record_of(where: str, data: bytes | None) -> dict[str, Any]:
    if data is None:
        return {}
    try:
        record = json.loads(data)
    except ValueError as error:
        raise DataError(f"{where}: is not JSON ({error}). Write the shard again.") from error
    if not isinstance(record, Mapping):
        raise DataError(
            f"{where}: is a {type(record).__name__}; must be a JSON object. Write the shard again."
        )
    return dict(record)
