"""A store in an SQLite file: checks without MLflow whether MLflow can use it, and makes a new one.

MLflow tries a damaged file ten times, for more than a minute, and creates its tables in the file of any other
program. So the file is looked at first. Nothing here changes a file that is there.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from stablerep.errors import DataError
from stablerep.storage.places import check_kind
from stablerep.storage.whole_files import written_whole

_SCHEME = "sqlite:///"
_LOCK_TIMEOUT_S = 5.0
_OF_MLFLOW = {"alembic_version", "experiments", "runs"}  # tables of every version
_ELSEWHERE = "set MLFLOW_TRACKING_URI to a store elsewhere."
_MOVE = "Restore it from a copy, or move it away: the next run makes a new one. Its content was not changed."


def file_of(uri: str) -> Path | None:
    """Returns the file that a URI names; None where it names no SQLite file."""
    name = uri.removeprefix(_SCHEME).partition("?")[0]
    return Path(name) if uri.startswith(_SCHEME) and name and name != ":memory:" else None


def check_file(path: Path) -> None:
    """Checks that a file is there and can be written, or can be made; takes milliseconds.

    Args:
        path: of the store, which may be missing.

    Raises:
        DataError: the folder above is no folder, or the file is one, is damaged, locked, read-only, or holds
            the tables of another program.
    """
    check_kind(path, "MLflow's store of runs", is_folder=False)
    if path.exists():
        tables = _tables(path)
        if tables and not tables >= _OF_MLFLOW:
            raise DataError(
                f"{path}: an SQLite file without the tables of MLflow ({', '.join(sorted(tables)[:5])}); "
                f"must be a store of MLflow. {_MOVE}"
            )


def schema_of(path: Path) -> str | None:
    """Returns the version of a store's tables; None of a file that is empty or not there.

    Raises:
        DataError: the file cannot be read.
    """
    if not path.exists() or not _tables(path):
        return None
    with closing(_opened(path)) as database:
        found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found[0]) if found else "unknown"


def make_store(path: Path) -> None:
    """Makes a store with its tables where none is.

    MLflow takes seconds for the tables, and cannot use a file in which it was killed meanwhile: so they are
    made in a file beside, which gets its name when it is whole.

    Raises:
        DataError: the disk refuses.
    """
    import mlflow

    advice = f"Free some space or fix the permissions, or {_ELSEWHERE}"
    with written_whole(path, advice) as beside:
        for leftover in (beside, beside.with_name(f"{beside.name}-journal")):
            leftover.unlink(missing_ok=True)
        mlflow.MlflowClient(f"{_SCHEME}{beside.absolute()}").search_experiments(max_results=1)


def _opened(path: Path) -> sqlite3.Connection:
    # rw: a missing file is not made
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=_LOCK_TIMEOUT_S, uri=True)


def _tables(path: Path) -> set[str]:
    """Returns the names of the tables of a file that can be written to."""
    try:
        with closing(_opened(path)) as database:
            database.execute("BEGIN IMMEDIATE")
            rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            # of a read-only file SQLite begins to read, so only a write shows it; this one is taken back
            (number,) = database.execute("PRAGMA user_version").fetchone()
            database.execute(f"PRAGMA user_version = {number:d}")
            database.rollback()
    except sqlite3.Error as error:
        raise DataError(f"{path}: cannot be used as the store of runs ({error}). {_advice(error)}") from error
    return {name for (name,) in rows if not name.startswith("sqlite_")}


def _advice(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest is a detail of it
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return (
            f"Another program has locked it for more than {_LOCK_TIMEOUT_S:g} s. Close that program, such as "
            "another run or a database browser, and run again."
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_FULL):
        return f"Make the file and its folder writable and free some space, or {_ELSEWHERE}"
    return _MOVE
