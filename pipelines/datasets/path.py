"""Datasets with a path on this machine, and the folder that nodes read and write themselves."""

import os
from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset

from stablerep.errors import ConfigError, DataError


class PathDataset(AbstractDataset[Any, Any]):
    """What all of them share: a path, and `metadata` for the catalog's readers.

    Args:
        filepath: a local path.
        metadata: read by `pipelines/dvc/stages.py` and kedro-viz.

    Raises:
        ConfigError: the path is an address, such as s3://...
    """

    def __init__(self, filepath: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Checks the path."""
        if "://" in str(filepath):
            raise ConfigError(
                f"conf/base/catalog.yml: {filepath} is an address; it must be a local path. "
                "Mount the storage and name the path there."
            )
        self._filepath = Path(filepath)
        self.metadata = metadata

    @property
    def path(self) -> Path:
        """The file or folder."""
        return self._filepath

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _refuse(self) -> NoReturn:
        raise DataError(f"{self._filepath}: an input; must not be an output of a node.")


class FolderDataset(PathDataset):
    """A folder that nodes read and write themselves; they get its absolute path.

    A node that fills a folder gets its place from one dataset and returns the path through another one of the
    same path, so that what reads the folder waits for it.
    """

    def __init__(self, path: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Takes `path`, as Kedro calls a folder."""
        super().__init__(path, metadata)

    def load(self) -> Path:
        """Returns the absolute path, whether or not the folder is there."""
        return self._filepath.absolute()

    def save(self, data: Any) -> None:
        """Checks that the folder was filled.

        Raises:
            DataError: it is another folder, or not there.
        """
        if Path(data) != self.load() or not self._filepath.is_dir():
            raise DataError(
                f"{self._filepath}: a node returned {data}; it must fill this folder and return its path."
            )
