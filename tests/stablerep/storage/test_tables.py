"""Damaged Parquet files are one kind of error, whatever pandas and pyarrow raise."""

import errno
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from stablerep.errors import DataError
from stablerep.storage import tables
from stablerep.storage.tables import read_table


@pytest.fixture
def path(tmp_path: Path) -> Path:
    table = pd.DataFrame({"caption_id": [f"c-{number}" for number in range(20)], "score": 0.5})
    table.to_parquet(tmp_path / "x.parquet")
    return tmp_path / "x.parquet"


def test_a_whole_file_is_read(path: Path) -> None:
    assert len(read_table(path)) == 20


@pytest.mark.parametrize("notes", [b"{}", b"[1, 2]", b"{", b"\xff\xfe"])
def test_pandas_own_notes_that_are_damaged_are_damage(path: Path, notes: bytes) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"pandas": notes}), path)
    with pytest.raises(DataError, match=r"^x\.parquet: "):
        read_table(path)


def test_changed_bytes_raise_no_other_error(path: Path) -> None:
    draw, whole, damaged = random.Random(0), path.read_bytes(), 0
    for _ in range(300):
        content = bytearray(whole)
        for place in draw.choices(range(len(content) // 2, len(content)), k=3):
            content[place] = draw.randrange(256)
        path.write_bytes(content)
        try:
            read_table(path)
        except DataError:
            damaged += 1
    assert damaged > 100


def test_a_missing_file_and_an_outage_are_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        read_table(path.with_name("nope"))
    assert raised.value.filename == str(path.with_name("nope"))

    def fails(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(tables.pd, "read_parquet", fails)
    with pytest.raises(OSError, match="Input/output error"):
        read_table(path)
