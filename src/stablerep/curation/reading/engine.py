"""Reads captions in batches from what people have, the first thing of the flow.

CSV (RFC 4180), tab-separated values (CC3M, CC12M: no quotes), JSON lines (RedCaps), COCO's JSON, Parquet
(LAION) and plain text, in one file or many, plain or packed with gzip or zstd. A batch at a time is in
memory, of COCO's JSON the whole file. Every caption keeps its source, licence and line, so that it can be
traced. A bad record is a row with a `fault`, which curation rejects and counts; a file that cannot be read
at all raises.
"""

import glob
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from stablerep.curation.reading.formats import (
    Record,
    read_coco,
    read_csv,
    read_jsonl,
    read_parquet,
    read_text,
    read_tsv,
)
from stablerep.curation.settings import WHERE, Columns, Reading
from stablerep.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

_SHIPPED = "data/01_raw/captions.csv"
BATCH_SIZE = (
    200_000  # captions in memory at once, some 100 MB; building the automata of lists costs as much as these
)
UNKNOWN = "unknown"
# row: place among all that was read; fault: None, or why the record cannot be a caption
SCHEMA = pl.Schema(
    {
        "row": pl.Int64,
        "caption": pl.String,
        "source": pl.String,
        "licence": pl.String,
        "line": pl.Int64,
        "fault": pl.String,
    }
)
_Reader = Callable[[Path, Columns], Iterator[Record]]
_READERS: dict[str, _Reader] = {
    "csv": read_csv,
    "tsv": read_tsv,
    "jsonl": read_jsonl,
    "coco": read_coco,
    "parquet": read_parquet,
    "text": read_text,
}
_ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "coco",
    ".parquet": "parquet",
    ".txt": "text",
}
_PACKED = {".gz", ".zst"}


@dataclass(frozen=True)
class CaptionFiles:
    """Captions files, not read yet.

    Attributes:
        pattern: a file's path, or a glob such as `data/01_raw/cc12m/*.tsv.gz`.
    """

    pattern: str

    def paths(self) -> list[Path]:
        """Returns the files in the order of their names.

        Raises:
            DataError: there is none.
        """
        found = [Path(each) for each in sorted(glob.glob(self.pattern, recursive=True))]
        if not found:
            shipped = Path(self.pattern).as_posix().endswith(_SHIPPED)
            again = f", or get the shipped ones back: git checkout {_SHIPPED}" if shipped else ""
            raise DataError(
                f"{self.pattern}: no such file; must be a captions file, such as a CSV file with the header "
                f"caption,source,licence. Put your captions there{again}."
            )
        return found

    def check(self, reading: Reading) -> None:
        """Looks for the files, and at their endings.

        Raises:
            DataError: there is none.
            ConfigError: a file's ending does not tell its format.
        """
        for path in self.paths():
            _reader_of(path, reading)

    def batches(self, reading: Reading, batch_size: int = BATCH_SIZE) -> Iterator[pl.DataFrame]:
        """Reads the files one after the other.

        Args:
            reading: how.
            batch_size: captions of a batch, at most.

        Yields:
            Tables of `SCHEMA` in the files' order; texts are as they stand in the file, bytes that are not
            UTF-8 replaced by U+FFFD.

        Raises:
            DataError: a file is missing, unreadable, empty, has no such column or one name twice, is
                malformed as a whole, or holds no captions.
            ConfigError: a file's ending does not tell its format.
        """
        first = 0
        for path in self.paths():
            rows = _reader_of(path, reading)(path, reading.columns)
            before = first
            for batch in _tables(path, rows, reading, first, batch_size):
                first += len(batch)
                yield batch
            if first == before:
                raise DataError(f"{path}: holds no captions; must hold at least one. Add a row for each.")

    def count(self, reading: Reading, enough: int) -> int:
        """Counts captions without a fault; stops where `enough` are found."""
        number = 0
        for batch in self.batches(reading, min(BATCH_SIZE, max(1, enough))):
            number += batch["fault"].null_count()
            if number >= enough:
                return number
        return number


def _reader_of(path: Path, reading: Reading) -> _Reader:
    return _READERS[reading.format or _format_of(path)]


def _format_of(path: Path) -> str:
    endings = [each.lower() for each in path.suffixes]
    if endings and endings[-1] in _PACKED:
        endings.pop()
    name = _ENDINGS.get(endings[-1]) if endings else None
    if name is None:
        raise ConfigError(
            f"{path}: its ending tells no format; must be one of {', '.join(_ENDINGS)}, packed or not with "
            f"{', '.join(sorted(_PACKED))}. Rename it, or set curation.reading.format in {WHERE}."
        )
    return name


def _tables(
    path: Path, records: Iterator[Record], reading: Reading, first: int, batch_size: int
) -> Iterator[pl.DataFrame]:
    held: list[Record] = []
    for record in records:
        held.append(record)
        if len(held) == batch_size:
            yield _table(path, held, reading, first)
            first += len(held)
            held = []
    if held:
        yield _table(path, held, reading, first)


def _table(path: Path, records: list[Record], reading: Reading, first: int) -> pl.DataFrame:
    captions, sources, licences, lines, faults = zip(*records, strict=True)
    columns = {
        "row": range(first, first + len(records)),
        "caption": captions,
        "source": sources,
        "licence": licences,
        "line": lines,
        "fault": faults,
    }
    stripped = {name: pl.col(name).str.strip_chars().replace("", None) for name in ("source", "licence")}
    return pl.DataFrame(columns, schema=SCHEMA).with_columns(
        pl.col("caption").fill_null(""),
        stripped["source"].fill_null(reading.source or path.name),
        stripped["licence"].fill_null(reading.licence or UNKNOWN),
    )
