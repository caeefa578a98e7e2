"""Digests of the files of a folder, recorded beside them: whether a model is still the one that was written.

Safetensors files have no checksum, so a flipped bit in one is another weight and no error. The file is in the
form of coreutils' `sha256sum`: `sha256sum -c SHA256SUMS` checks a folder as well.
"""

import hashlib
import logging
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from stablerep.storage.outages import refuse_outage

logger = logging.getLogger(__name__)

DIGESTS_FILE = "SHA256SUMS"
# digest, a space, "*" for a file that was read as bytes or another space, path
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def write_digests(folder: Path, parts: Iterable[str] = ("",)) -> None:
    """Records the digests of a folder's files in `SHA256SUMS`, the last file of the folder to be written.

    Args:
        folder: of a model.
        parts: its files and folders that are recorded; all of it where there are none.

    Raises:
        OSError: the disk refuses.
    """
    found = {each for part in parts for each in (folder / part, *(folder / part).rglob("*"))}
    files = sorted(path for path in found if path.is_file() and path != folder / DIGESTS_FILE)
    lines = [f"{_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / DIGESTS_FILE).write_text("".join(lines), encoding="utf-8", newline="\n")


def has_digests(folder: Path) -> bool:
    """Tells whether the digests of a folder's files were recorded."""
    return (folder / DIGESTS_FILE).exists()


def warn_without_digests(folder: Path) -> None:
    """Logs a warning where no digests were recorded."""
    if not has_digests(folder):
        logger.warning("%s: no %s; whether its files changed is not known", folder, DIGESTS_FILE)


def faults_of_files(folder: Path) -> list[str]:
    """Compares a folder's files with their recorded digests.

    Returns:
        A phrase for each file that is missing, unreadable or another one than was recorded. Empty where all
        are as recorded, or where no digests were.

    Raises:
        OutageError: the file system failed.
    """
    if not has_digests(folder):
        return []
    try:
        recorded = _read(folder / DIGESTS_FILE)
    except (OSError, ValueError) as error:
        refuse_outage(folder / DIGESTS_FILE, error)
        return [f"{DIGESTS_FILE} cannot be read ({error})"]
    return [fault for name, digest in recorded.items() if (fault := _fault_of(folder, name, digest))]


def _read(path: Path) -> dict[str, str]:
    recorded = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = _LINE.fullmatch(line)
        name = PurePosixPath(found[2]) if found else PurePosixPath("..")
        if found is None or name.is_absolute() or ".." in name.parts:
            raise ValueError(f"line {number} must be a SHA-256 digest, two spaces and a path in the folder")
        recorded[found[2]] = found[1]
    if not recorded:
        raise ValueError("it is empty")
    return recorded


def _fault_of(folder: Path, name: str, digest: str) -> str | None:
    try:
        same = _digest(folder / name) == digest
    except FileNotFoundError:
        return f"{name} is missing"
    except OSError as error:
        refuse_outage(folder / name, error)
        return f"{name} cannot be read ({error.strerror or error})"
    return None if same else f"{name} is not the file that {DIGESTS_FILE} records"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
