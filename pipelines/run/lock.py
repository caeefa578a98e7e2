"""One run at a time on a data folder: two would write the same files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stablerep.errors import BusyError

LOCK_NAME = ".run.lock"


@contextmanager
def hold_data_folder(data_folder: Path) -> Iterator[None]:
    """Holds the folder's lock while the block runs; a killed run lets go of it by itself.

    Raises:
        BusyError: another run holds it.
    """
    from filelock import FileLock, Timeout

    data_folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(data_folder / LOCK_NAME)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BusyError(
            f"data folder {data_folder}: another run is working on it; must be one run at a time. "
            "Wait for it to end or stop it, or work in another clone."
        ) from error
    try:
        yield
    finally:
        lock.release()
