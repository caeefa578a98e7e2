"""Turns errors of a disk into messages for the user.

Datasets and `stablerep.storage` name the file that they could not write. Working files are written by
libraries in many places; what those raise comes here, where the command ends.
"""

import errno
import os
import re
import shutil
import sqlite3
import tempfile
from pathlib import Path

from pipelines.run.causes import causes
from stablerep.errors import DataError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PROTECTED = {errno.EROFS, errno.EACCES, errno.EPERM}
_OTHER_KIND = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
_BROKEN = {errno.EIO, errno.ESTALE}
# numpy's tofile gives no number and no file; libraries in Rust, such as polars, give the number in their text
_CUT_WRITE = re.compile(r"\d+ requested and \d+ written")
_NUMBER_IN_RUST = re.compile(r"os error (\d+)")
_OF_SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_IOERR: errno.EIO,
}
_LEAST_FREE = 1 << 20  # bytes; below it a disk is called full
_AGAIN = "Then run the same command again: complete files are kept."


def disk_fault(error: BaseException, project: Path) -> DataError | None:
    """Returns a message if a chain of exceptions contains a disk error, otherwise None.

    Args:
        error: what ended the command.
        project: its folder, to find the disk that is full where the fault names no file.
    """
    for link in causes(error):
        number, file = _number_of(link), getattr(link, "filename", None)
        advice = _advice(number, file)
        if number is not None and advice is not None:
            place = file or ", ".join(_full_folders(project)) or "a disk"
            return DataError(f"{place}: {os.strerror(number)}. {advice} {_AGAIN}")
    return None


def _number_of(error: BaseException) -> int | None:
    if isinstance(error, sqlite3.Error):  # of the guidance study
        # without a code where Python raises it itself; the upper bits are a detail of the lowest byte
        return _OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if isinstance(error, OSError):
        return errno.ENOSPC if _CUT_WRITE.fullmatch(str(error)) else error.errno
    found = _NUMBER_IN_RUST.search(str(error))
    return int(found[1]) if found else None


def _advice(number: int | None, file: str | None) -> str | None:
    if number in _FULL:
        return "It cannot be written: free some space on its disk, or raise the limit on file size."
    if number in _PROTECTED:
        return "It must be readable and writable for this user: fix its permissions or its mount."
    if number in _OTHER_KIND and file:
        return "A file stands where a folder must be, or a folder where a file must be: move it away."
    if number in _BROKEN:
        return "Its disk fails: check the disk and its connection."
    return None


def _full_folders(project: Path) -> list[str]:
    """Returns which of the folders that a run writes to have no space left."""
    folders = [
        *sorted(project.glob("data/*/")),
        project / "data",
        project / "mlflow",
        Path(tempfile.gettempdir()),
    ]
    return [str(each) for each in folders if each.is_dir() and shutil.disk_usage(each).free < _LEAST_FREE]
