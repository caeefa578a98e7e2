"""Checks that a run can write its outputs: a read-only disk is found before the first node."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from stablerep.errors import DataError

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

_UNTRACKED = "untracked"
_OF_HOOKS = "stage_seconds"  # written after each node


def check_outputs(pipeline: "Pipeline", catalog: "DataCatalog") -> None:
    """Checks the places of the files and folders that the nodes write; makes none of them.

    They are the outputs, and the untracked folders that nodes take: checkpoints, caches, places to be filled.

    Raises:
        DataError: one is on a read-only disk, its folder is a file, or a file stands where the run writes a
            folder or the other way round.
    """
    from pipelines.datasets import FolderDataset, PathDataset, WholeFileDataset, WholeFolderDataset

    outputs = {*pipeline.all_outputs(), _OF_HOOKS}
    for name in sorted(outputs | pipeline.all_inputs()):
        dataset = catalog.get(name) if name in catalog or name in outputs else None
        if not isinstance(dataset, PathDataset):
            continue
        is_filled = isinstance(dataset, FolderDataset) and (dataset.metadata or {}).get("dvc") == _UNTRACKED
        if name not in outputs and not is_filled:
            continue
        path = dataset.path
        if isinstance(dataset, WholeFolderDataset):
            if path.exists() and not path.is_dir():
                raise DataError(f"{path}: a file; must be the folder of {name}. Move it away, and run again.")
        elif isinstance(dataset, WholeFileDataset) and path.is_dir():
            raise DataError(f"{path}: a folder; must be the file of {name}. Move it away, and run again.")
        # a folder that is there is filled as it is; what is replaced whole is written beside
        _check_folder(path / "file" if is_filled else path, name)


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
