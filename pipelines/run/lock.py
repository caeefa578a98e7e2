"""One run at a time on a data folder: two would write the same files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stablerep.errors import BusyError, DataError
from stablerep.storage.places import check_kind

LOCK_NAME = ".run.lock"
_RESTORE = "Move it away: `git checkout data` brings back what git keeps, `dvc checkout` what DVC keeps."


@contextmanager
def hold_data_folder(data_folder: Path) -> Iterator[None]:
    """Holds the folder's lock while the block runs; a killed run lets go of it by itself.

    Raises:
        BusyError: another run holds it.
        DataError: the folder is a file, the lock is a folder, or neither can be made.
    """
    from filelock import FileLock, Timeout

    path = data_folder / LOCK_NAME
    check_kind(data_folder, "the project's data", is_folder=True, advice=_RESTORE)
    check_kind(path, "the lock of a run", is_folder=False)
    lock = FileLock(path)
    try:
        data_folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BusyError(
            f"data folder {data_folder}: another run is working on it; must be one run at a time. "
            "Wait for it to end or stop it, or work in another clone."
        ) from error
    except OSError as error:
        raise _refusal(data_folder, path, error) from error
    try:
        yield
    finally:
        lock.release()


def _refusal(data_folder: Path, lock: Path, error: OSError) -> DataError:
    place = lock if data_folder.is_dir() else data_folder
    return DataError(
        f"{place}: cannot be made ({error.strerror or error}); a run writes below {data_folder}. Make the "
        "folder writable and free some space, and run again."
    )
