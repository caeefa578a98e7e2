"""A Parquet file that is written batch by batch, and read so: captions need not fit into memory."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

_BATCH_SIZE = 200_000


class GrowingTable:
    """A Parquet file that grows by batches.

    Args:
        path: of the file, which is created by the first batch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.num_rows = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pl.DataFrame) -> None:
        """Appends rows; each batch must have the first one's columns."""
        arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, arrow.schema, compression="lz4")
        self._writer.write_table(arrow)
        self.num_rows += len(table)

    def close(self) -> None:
        """Finishes the file."""
        if self._writer is not None:
            self._writer.close()

    def batches(self) -> Iterator[pl.DataFrame]:
        """Reads the finished file, with the column `place` (Int64, from 0)."""
        place = 0
        if self._writer is None:
            return
        # pre-buffering would keep all that was read
        for batch in pq.ParquetFile(self.path, pre_buffer=False).iter_batches(_BATCH_SIZE):
            frame = pl.DataFrame(batch)
            yield frame.with_columns(pl.int_range(place, place + len(frame), dtype=pl.Int64).alias("place"))
            place += len(frame)
