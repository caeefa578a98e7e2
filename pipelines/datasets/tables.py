"""Tables as Parquet files: whole in memory with pandas, or a part at a time with polars."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType

from pipelines.datasets.previous import Previous
from pipelines.datasets.whole import WholeFileDataset
from stablerep.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

# kedro-viz tells a preview's kind from the name of this type
TablePreview = NewType("TablePreview", dict[str, Any])


class _ParquetFileDataset(WholeFileDataset):
    form = "a Parquet file"

    def preview(self, nrows: int = 5) -> TablePreview:
        """Returns the first rows for kedro-viz; reads no others."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._filepath) as file:
            rows = next(file.iter_batches(batch_size=nrows), None)
            # a file without row groups has no batch
            table = file.schema_arrow.empty_table() if rows is None else rows
        return TablePreview(table.to_pandas().to_dict(orient="split"))


class ParquetDataset(_ParquetFileDataset):
    """A pandas table."""

    def _write(self, beside: Path, data: "pd.DataFrame") -> None:
        data.to_parquet(beside)

    def _read(self, path: Path) -> "pd.DataFrame":
        from stablerep.storage.tables import read_table

        return read_table(path)


class LazyParquetDataset(_ParquetFileDataset):
    """A polars table that may be larger than memory."""

    def _write(self, beside: Path, data: "pl.LazyFrame") -> None:
        from stablerep.storage.lazy_tables import write_parts

        write_parts(beside, data)

    def _read(self, path: Path) -> "pl.LazyFrame":
        import polars as pl

        table = pl.scan_parquet(path)
        try:
            table.collect_schema()  # reads the file's end, which a file that was cut off does not have
        except pl.exceptions.PolarsError as error:
            raise DataError(str(error)) from error
        return table


class PreviousParquetDataset(Previous, ParquetDataset):
    """A table that an earlier run left, for a node that goes on from it."""
