"""Tables by parts."""

from pathlib import Path

import polars as pl
import polars.testing
import pyarrow.parquet as pq
import pytest

from stablerep.storage.lazy_tables import parts_of, write_parts

_TABLE = pl.DataFrame({"text": [f"caption {row}" for row in range(7)], "score": [0.5, None] * 3 + [1.0]})


@pytest.mark.parametrize("size", [1, 3, 7, 8])
def test_parts_are_the_table_in_its_order(size: int) -> None:
    parts = list(parts_of(_TABLE.lazy(), size))
    assert [len(part) for part in parts] == [size] * (7 // size) + ([7 % size] if 7 % size else [])
    polars.testing.assert_frame_equal(pl.concat(parts), _TABLE)


def test_an_empty_table_is_one_part_with_its_columns() -> None:
    (part,) = parts_of(_TABLE.head(0).lazy())
    assert part.schema == _TABLE.schema


@pytest.mark.parametrize("num_rows", [0, 7])
def test_a_file_is_the_table(tmp_path: Path, num_rows: int) -> None:
    table = _TABLE.head(num_rows)
    write_parts(tmp_path / "table.parquet", table.lazy())
    polars.testing.assert_frame_equal(pl.read_parquet(tmp_path / "table.parquet"), table)


def test_the_bytes_do_not_hang_on_the_file_that_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stablerep.storage.lazy_tables.parts_of", lambda table: parts_of(table, 3))
    _TABLE.write_parquet(tmp_path / "groups.parquet", row_group_size=2)
    write_parts(tmp_path / "scanned.parquet", pl.scan_parquet(tmp_path / "groups.parquet"))
    write_parts(tmp_path / "held.parquet", _TABLE.lazy())
    assert (tmp_path / "scanned.parquet").read_bytes() == (tmp_path / "held.parquet").read_bytes()
    assert pq.ParquetFile(tmp_path / "held.parquet").metadata.num_row_groups == 3
