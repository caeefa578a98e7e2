"""Safetensors files: written whole or not at all; a damaged one is one kind of error."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from stablerep.errors import DataError
from stablerep.storage.whole_files import written_whole


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file, on the CPU.

    Raises:
        DataError: the file is damaged, or of another format.
        OSError: the file is missing, or its file system failed.
    """
    try:
        return load_file(path)
    except FileNotFoundError as error:  # without number and name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    except SafetensorError as error:
        raise DataError(f"{path.name}: {error}") from error


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors to a safetensors file; a kill at any moment leaves the last whole file.

    Args:
        path: of the file; its folder is made if it is missing.
        tensors: contiguous, on any device; no two share memory.
        metadata: texts to store beside the tensors.

    Raises:
        DataError: the disk refuses; the file that stood under `path` is unchanged.
    """
    with written_whole(path) as beside:
        try:
            save_file(dict(tensors), beside, metadata=None if metadata is None else dict(metadata))
        except SafetensorError as error:  # safetensors reports a full disk so, and not as OSError
            raise OSError(str(error)) from error


def remove_leftovers(folder: Path) -> None:
    """Removes the half-written files that a killed `save_tensors` left in a folder.

    No other process may be writing there.
    """
    # the second is the file that safetensors itself renames when it is written
    for path in (*folder.glob("*.safetensors.partial"), *folder.glob(".tmp*")):
        path.unlink(missing_ok=True)
