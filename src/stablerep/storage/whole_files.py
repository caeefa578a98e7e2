"""Files that are whole or not there: written under another name beside their place, synced and renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stablerep.errors import DataError

PARTIAL_SUFFIX = ".partial"
ADVICE = "What is there is kept; free some space or fix the permissions, and run again."


@contextmanager
def written_whole(path: Path, advice: str = ADVICE, writer: str = "") -> Iterator[Path]:
    """Lends a name to write to, and puts what was written there in a file's place.

    What a kill leaves behind is overwritten by the next writer.

    Args:
        path: of the file; its folder is made where it is missing.
        advice: ends the message where the disk refuses: what is kept, and what to do.
        writer: told apart by name from others that may write the same file at the same time.

    Yields:
        The name beside the file.

    Raises:
        DataError: the disk refuses. Whatever is raised, what stood under `path` is untouched.
    """
    beside = path.with_name(".".join(part for part in (path.name, writer) if part) + PARTIAL_SUFFIX)
    try:
        make_folder(path.parent)
        yield beside
        sync(beside)
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}). {advice}") from error
    finally:
        with suppress(OSError):  # a disk that refused the file may refuse this, and the first says why
            beside.unlink(missing_ok=True)


def sync(path: Path, flags: int = os.O_RDONLY) -> None:
    """Waits until a file's content is on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk; without it a rename may be lost with the power."""
    if hasattr(os, "O_DIRECTORY"):  # Windows cannot
        sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it, where they are missing; the disk has their names when it returns.

    Raises:
        OSError: the disk refuses.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)
