"""What stands where a file or a folder is to be written."""

import os
from pathlib import Path

from stablerep.errors import DataError

MOVE = "Move it away, and run again."


def nearest_existing(path: Path) -> Path:
    """Returns the path, absolute, if something is there; otherwise the nearest path above it.

    A link that leads nowhere is something: no folder can be made in its place.
    """
    path = path.absolute()
    return next(each for each in (path, *path.parents) if os.path.lexists(each))


def check_kind(path: Path, what: str, *, is_folder: bool, advice: str = MOVE) -> None:
    """Checks that no file stands in the place of a folder, and no folder in that of a file; makes nothing.

    Args:
        path: where something is to be written; it and the folders above it may be missing.
        what: is written there, for the message.
        is_folder: whether a folder is to be there, and not a file.
        advice: ends the message.

    Raises:
        DataError: with the path of what is in the way.
    """
    there = nearest_existing(path)
    must_be_folder = is_folder or there != path.absolute()
    if must_be_folder and not there.is_dir():
        raise DataError(f"{there}: not a folder; must be one, because {what} is written there. {advice}")
    if there.is_dir() and not must_be_folder:
        raise DataError(f"{there}: a folder; must be a file, because {what} is written there. {advice}")
