"""Tables that may be larger than memory: polars reads them from Parquet, a part of the rows at a time."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

_PART_SIZE = 200_000  # rows in memory at a time


def parts_of(table: pl.LazyFrame, size: int = _PART_SIZE) -> Iterator[pl.DataFrame]:
    """Yields the rows in their order, `size` at a time; of an empty table one part without rows.

    The parts follow from `size` alone, so that what is written by parts has the same bytes on every machine,
    as polars' own sinks do not promise.
    """
    for start in count(step=size):
        part = table.slice(start, size).collect()
        if start and part.is_empty():
            return
        yield part


def num_rows(table: pl.LazyFrame) -> int:
    """Counts the rows without reading them."""
    return int(table.select(pl.len()).collect().item())


def write_parts(path: Path, table: pl.LazyFrame) -> None:
    """Writes a table as a Parquet file, a part of its rows at a time.

    Args:
        path: of the file, which is half written where this fails: lend it from `whole_files.written_whole`.
        table: may be larger than memory.

    Raises:
        OSError: the disk refuses.
    """
    parts = (part.to_arrow(compat_level=pl.CompatLevel.oldest()) for part in parts_of(table))
    first = next(parts)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for part in parts:
            writer.write_table(part)
