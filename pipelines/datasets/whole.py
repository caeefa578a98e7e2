"""The base of every dataset that a node writes: what is written replaces the old as a whole, or not at all.

A new dataset type implements `_write` and `_read`. The base lends a name beside the dataset's path, syncs
what was written there and renames it (`stablerep.storage.whole_files`, `stablerep.storage.whole_folders`).
"""

import errno
import os
from abc import abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from pipelines.datasets.path import PathDataset
from stablerep.errors import DataError
from stablerep.storage.outages import refuse_outage
from stablerep.storage.whole_files import written_whole
from stablerep.storage.whole_folders import folder_written_whole, recover_folder


class DamagedFileError(DataError):
    """A file has changed since a node wrote it.

    Attributes:
        path: of the file or the folder.
        fault: what is wrong with it, one sentence that names the path.
    """

    def __init__(self, path: Path, fault: str, advice: str) -> None:
        """Takes the sentence, and the one that says what to do."""
        super().__init__(f"{fault} {advice}")
        self.path, self.fault = path, fault


class WholeFileDataset(PathDataset):
    """A file that a node writes; a killed or failed save leaves the file that was there before.

    Attributes:
        form: what the file must be, for the message about a damaged one.
    """

    form: ClassVar[str]

    def _written(self) -> AbstractContextManager[Path]:
        """Returns what lends the name beside and puts what was written there in its place."""
        return written_whole(self._filepath)

    @abstractmethod
    def _write(self, beside: Path, data: Any) -> None:
        """Writes the data to `beside`, whose name has another suffix than the dataset's path.

        Raises:
            OSError: the disk refuses.
        """

    @abstractmethod
    def _read(self, path: Path) -> Any:
        """Returns the data.

        Raises:
            FileNotFoundError: nothing is there, or a file of a folder is missing.
            OSError, DataError: the file is damaged. What its format's library raises becomes a DataError
                where the library is called: another exception is a fault of the code that reads.
        """

    def save(self, data: Any) -> None:
        """Replaces the file.

        Raises:
            DataError: the disk refuses. The old file stays.
        """
        with self._written() as beside:
            self._write(beside, data)

    def load(self) -> Any:
        """Returns the data.

        Raises:
            DamagedFileError: the file is damaged or something else; the message names it.
            OutageError: the file system failed.
            FileNotFoundError: nothing is there.
        """
        try:
            return self._read(self._filepath)
        except (OSError, DataError) as error:
            if isinstance(error, FileNotFoundError) and not os.path.lexists(self._filepath):
                raise FileNotFoundError(
                    errno.ENOENT, os.strerror(errno.ENOENT), str(self._filepath)
                ) from error
            refuse_outage(self._filepath, error)
            why = f"{error.filename or error} is missing" if isinstance(error, FileNotFoundError) else error
            fault = f"{self._filepath}: cannot be read as {self.form} ({why})."
            raise DamagedFileError(self._filepath, fault, self._advice()) from error

    def _advice(self) -> str:
        return (
            "Run the pipeline that writes it again, or restore it with `dvc checkout`; "
            "`kedro run` writes every file of the default pipeline."
        )


class WholeFolderDataset(WholeFileDataset):
    """The same for a folder of files: `beside` is an empty folder, and the whole folder is replaced."""

    def _written(self) -> AbstractContextManager[Path]:
        return folder_written_whole(self._filepath)

    def load(self) -> Any:
        """Returns the data; what a save left that was killed while it swapped folders is put back first."""
        recover_folder(self._filepath)
        return super().load()

    def _exists(self) -> bool:
        recover_folder(self._filepath)
        return super()._exists()
