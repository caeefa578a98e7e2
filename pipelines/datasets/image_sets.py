"""Finished image sets as datasets; their pixels stay where they are."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.datasets.whole import WholeFolderDataset
from stablerep.errors import DataError

if TYPE_CHECKING:
    from stablerep.image_sets.image_set import ImageSet

TABLES_FOLDER = "finished"


class ImageSetDataset(WholeFolderDataset):
    """An image set: its tables are in the folder `finished`; a generated set's shards are beside that.

    Args:
        path: of the set's folder.
        metadata: as of every dataset.
    """

    form = "the tables of a finished image set"

    def __init__(self, path: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        super().__init__(Path(path) / TABLES_FOLDER, metadata)

    def _write(self, beside: Path, data: "ImageSet") -> None:
        from kedro.validation.exceptions import DataValidationError

        from stablerep.image_sets.stored_set import write_image_set

        try:
            write_image_set(beside, data)
        except DataError as error:  # as Kedro raises it for a table with a validator in the catalog
            raise DataValidationError(
                str(error), dataset_name=f"image set {data.name}", mode="save"
            ) from error

    def _read(self, path: Path) -> "ImageSet":
        from stablerep.image_sets.stored_set import read_image_set

        return read_image_set(path, self._filepath.parent.absolute())

    def _advice(self) -> str:
        return f"Make it again: kedro run --namespaces image_sets.{self._filepath.parent.name}"
