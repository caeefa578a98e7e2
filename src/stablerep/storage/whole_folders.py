"""Folders that are whole or not there: written beside their place, synced, and exchanged with the old one.

Linux exchanges two folders in one step (`renameat2` with `RENAME_EXCHANGE`). Where the system or the file
system cannot, the old folder is renamed away before the new one takes its place; a kill between the two
renames leaves no folder under the name, and `recover_folder` puts the old one back.

A killed writer leaves hidden folders beside: `.<name>.partial`, which the next writer removes, and
`.<name>.previous`, which is the old folder.
"""

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stablerep.errors import DataError
from stablerep.storage.whole_files import ADVICE, PARTIAL_SUFFIX, make_folder, sync, sync_folder

PREVIOUS_SUFFIX = ".previous"
_AT_FDCWD = -100  # linux/fcntl.h: relative paths start at the current folder
_RENAME_EXCHANGE = 2  # linux/fs.h
# the file system, the kernel, or a container's filter of system calls has no exchange
_NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EXDEV}


@contextmanager
def folder_written_whole(path: Path, advice: str = ADVICE) -> Iterator[Path]:
    """Lends an empty folder to write to, and puts it in a folder's place.

    One process at a time may write a folder.

    Args:
        path: of the folder; the folder above it is made where it is missing.
        advice: ends the message where the disk refuses: what is kept, and what to do.

    Yields:
        The empty folder beside it.

    Raises:
        DataError: the disk refuses. Whatever is raised, what stood under `path` is untouched.
    """
    beside = _beside(path, PARTIAL_SUFFIX)
    try:
        make_folder(path.parent)
        recover_folder(path)
        _remove_leftovers(path)
        beside.mkdir()
        yield beside
        _sync_tree(beside)
        _put_in_place(beside, path)
        sync_folder(path.parent)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}). {advice}") from error
    finally:
        # after an exchange this is the old folder; what cannot be removed now, the next writer removes
        with suppress(OSError):
            _remove(beside)


def recover_folder(path: Path) -> None:
    """Puts the old folder back where a writer was killed after it had renamed it away.

    Args:
        path: of the folder. Nothing happens where it is there, or where no writer was killed.

    Raises:
        DataError: the disk refuses.
    """
    previous = _beside(path, PREVIOUS_SUFFIX)
    if os.path.lexists(path) or not previous.exists():
        return
    try:
        previous.rename(path)
    except OSError as error:
        raise DataError(
            f"{path}: a run was killed while it replaced this folder, and the old one cannot be put back "
            f"({error.strerror or error}). Rename {previous} to {path.name}."
        ) from error


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}{suffix}")


def _remove_leftovers(path: Path) -> None:
    for suffix in (PARTIAL_SUFFIX, PREVIOUS_SUFFIX):
        _remove(_beside(path, suffix))


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _sync_tree(folder: Path) -> None:
    for root, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync(Path(root, name))
        sync_folder(Path(root))


def _put_in_place(beside: Path, path: Path) -> None:
    """Renames `beside` to `path`; an old folder ends under the name of `beside`."""
    if not os.path.lexists(path):
        beside.rename(path)
    elif not _exchange(beside, path):
        _swap_by_renames(beside, path)


def _swap_by_renames(beside: Path, path: Path) -> None:
    previous = _beside(path, PREVIOUS_SUFFIX)
    path.rename(previous)
    try:
        beside.rename(path)
    except OSError:
        previous.rename(path)
        raise
    # under the name of what is removed: a half-removed folder must not be put back
    previous.rename(beside)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step; returns False where that is not possible here."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    failed = renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)
    )
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))
