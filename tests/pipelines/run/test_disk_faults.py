"""A full or read-only disk is one message, wherever a library met it."""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from kedro.io import DatasetError

from pipelines.datasets import WorkFolderDataset
from pipelines.run import disk_faults
from pipelines.run.causes import first_cause
from pipelines.run.disk_faults import disk_fault
from stablerep.errors import DataError
from tests.pipelines.unprivileged import folder_of_nobody
from tests.stablerep.storage.full_disk import full_disk


def write_text(path: Path) -> None:
    path.write_text("x" * 10_000)


def write_array(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        np.zeros(10_000).tofile(file)


def write_table(path: Path) -> None:
    pl.DataFrame({"x": np.random.default_rng(0).random(10_000)}).write_parquet(path)


def write_arrow(path: Path) -> None:
    pl.DataFrame({"x": np.random.default_rng(0).random(10_000)}).to_pandas().to_parquet(path)


def write_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA max_page_count = 2")
        database.execute("CREATE TABLE x (y)")
        database.execute("INSERT INTO x VALUES (zeroblob(100000))")


@pytest.mark.parametrize("write", [write_text, write_array, write_table, write_arrow, write_database])
def test_a_full_disk_says_to_free_space(tmp_path: Path, write: Any) -> None:
    # SQLite writes a page at a time
    with full_disk(10_000 if write is write_database else 64), pytest.raises(Exception) as raised:
        write(tmp_path / "x")
    wrapped = DatasetError("wrapped")
    wrapped.__cause__ = raised.value
    assert "free some space on its disk" in str(disk_fault(wrapped, tmp_path))


def test_a_full_disk_without_a_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "02_intermediate").mkdir(parents=True)
    (tmp_path / "data" / "03_primary").mkdir()
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Usage:
        def __init__(self, free: int) -> None:
            self.free = free

    of_full = lambda path: Usage(0 if Path(path).name == "02_intermediate" else 1 << 40)  # noqa: E731
    monkeypatch.setattr(disk_faults.shutil, "disk_usage", of_full)
    told = str(disk_fault(full, tmp_path))
    assert told.startswith(f"{tmp_path / 'data' / '02_intermediate'}: No space left on device")


def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    with folder_of_nobody() as folder:
        folder.chmod(0o555)
        with pytest.raises(PermissionError) as raised:
            (folder / "x").write_text("x")
        folder.chmod(0o755)
    told = str(disk_fault(raised.value, tmp_path))
    assert told.startswith(f"{folder / 'x'}: Permission denied. It must be readable and writable")


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("x")
    with pytest.raises(OSError) as raised:
        (tmp_path / "work" / "sub").mkdir()
    assert str(disk_fault(raised.value, tmp_path)).startswith(f"{tmp_path / 'work' / 'sub'}: Not a directory")


@pytest.mark.parametrize(
    "fault", [ValueError("x"), OSError("x"), ConnectionResetError(104, "reset"), ZeroDivisionError()]
)
def test_another_fault_keeps_its_traceback(tmp_path: Path, fault: Exception) -> None:
    assert disk_fault(fault, tmp_path) is None


def test_a_work_folder_that_is_a_file_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("x")
    with pytest.raises(DatasetError) as raised:
        WorkFolderDataset(str(tmp_path / "work")).load()
    assert "work: not a folder; must be one" in str(first_cause(raised.value, DataError))
    assert (tmp_path / "work").read_text() == "x"
