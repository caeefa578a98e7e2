"""Checks that a run can write its outputs: a read-only disk is found before the first node."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from stablerep.errors import DataError

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

_OF_HOOKS = "stage_seconds"  # written after each node


def check_outputs(pipeline: "Pipeline", catalog: "DataCatalog") -> None:
    """Checks the places of the files and folders that the nodes write; makes none of them.

    Raises:
        DataError: one is on a read-only disk, its folder is a file, or a file stands where the run writes a
            folder or the other way round.
    """
    from pipelines.datasets import PathDataset, WholeFileDataset, WholeFolderDataset

    for name in sorted({*pipeline.all_outputs(), _OF_HOOKS}):
        dataset = catalog.get(name)
        if not isinstance(dataset, PathDataset):
            continue
        path = dataset.path
        if isinstance(dataset, WholeFolderDataset):
            if path.exists() and not path.is_dir():
                raise DataError(f"{path}: a file; must be the folder of {name}. Move it away, and run again.")
        elif isinstance(dataset, WholeFileDataset) and path.is_dir():
            raise DataError(f"{path}: a folder; must be the file of {name}. Move it away, and run again.")
        _check_folder(path, name)


def _check_folder(path: Path, name: str) -> None:
    folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not folder.is_dir():
        raise DataError(
            f"{folder}: not a folder; must be one, because {name} is written there. Move it away, and run "
            "again."
        )
    # also of root it says whether the disk is mounted to be read only
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise DataError(
            f"{folder}: cannot be written, and {name} is written there. Fix its permissions or its mount, "
            "and run again."
        )
