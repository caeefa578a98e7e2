"""Working files: a folder that is empty when a node gets it, and an object in memory that ends with them."""

import shutil
from pathlib import Path
from typing import Any

from kedro.io import MemoryDataset

from pipelines.datasets.path import FolderDataset
from stablerep.errors import DataError
from stablerep.storage.places import check_kind


class WorkFolderDataset(FolderDataset):
    """A folder for a node's working files; what a killed run left in it is removed first."""

    def load(self) -> Path:
        """Returns the absolute path of the folder, empty.

        Raises:
            DataError: the disk refuses, or the folder is a file.
        """
        folder = super().load()
        check_kind(folder, "what a node works on", is_folder=True)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be made an empty folder ({error.strerror or error}). Make the folder "
                "above it writable and free some space, and run again."
            ) from error
        return folder


class WithWorkFolderDataset(MemoryDataset):
    """An object whose attribute `folder` holds working files; they go when no node needs it any more."""

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        """Keeps the object itself, not a copy."""
        super().__init__(copy_mode="assign", metadata=metadata)

    def _release(self) -> None:
        if self._exists():
            shutil.rmtree(self.load().folder, ignore_errors=True)
        super()._release()
