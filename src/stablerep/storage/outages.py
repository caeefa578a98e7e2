"""Retries for a file system that does not answer: its files are not damaged and are read again later.

Damage is found in bytes alone: they are not those of the digest, or cannot be decoded. It is an
`UnreadableImageError`. Every error of the operating system is an outage, a missing file included: a network
mount that is gone shows an empty folder.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from stablerep.errors import DataError

logger = logging.getLogger(__name__)

T = TypeVar("T")
# Seconds before each further try, four minutes in all. The other processes of a training wait meanwhile: NCCL
# gives them up after ten minutes (torch.distributed.init_process_group).
DELAYS_S = (1, 2, 4, 8, 15, 30, 60, 60, 60)


class OutageError(DataError):
    """A file cannot be read at the moment; it may be whole."""


class MissingFileError(OutageError):
    """A file is not there: it was removed, or its file system is not mounted."""


@contextmanager
def file_faults(path: Path) -> Iterator[None]:
    """Turns faults of a file system into errors; passes on an OSError that has no number, such as Pillow's.

    Args:
        path: of the file that is read, for the message.

    Raises:
        MissingFileError: the file does not exist.
        OutageError: the file system failed.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(
            f"{path}: is missing. Mount its disk again; if the file was removed, run the pipeline that lists "
            "or makes it (corpus, evaluation_sets or image_sets)."
        ) from error
    except OSError as error:
        if error.errno is None:
            raise
        raise _outage(path, error) from error


def refuse_outage(path: Path, error: Exception) -> None:
    """Raises OutageError if reading the path failed because of the file system; a folder there is no outage.

    For callers that continue without a missing or damaged file: after an outage they must not.
    """
    of_the_form = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, of_the_form):
        raise _outage(path, error) from error


def _outage(path: Path, error: OSError) -> OutageError:
    return OutageError(
        f"{path}: the file system failed ({error.strerror or error}); the file itself may be intact. "
        "Check the disk, the network mount and the permissions, then run again."
    )


def read_patiently(read: Callable[[], T]) -> T:
    """Reads, and waits and reads again while that fails, with a warning each time.

    Args:
        read: raises OutageError where it fails; called up to ten times.

    Raises:
        OutageError: of the last try.
    """
    for delay_s in DELAYS_S:
        try:
            return read()
        except OutageError as error:
            logger.warning("%s Trying again in %d s.", error, delay_s)
            time.sleep(delay_s)
    return read()
