"""Checks that a run can write its outputs: a read-only disk is found before the first node."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from stablerep.errors import DataError
from stablerep.storage.places import check_kind, nearest_existing

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
    from pipelines.datasets import FolderDataset, PathDataset, WholeFolderDataset

    outputs = {*pipeline.all_outputs(), _OF_HOOKS}
    for name in sorted(outputs | pipeline.all_inputs()):
        dataset = catalog.get(name) if name in catalog or name in outputs else None
        if not isinstance(dataset, PathDataset):
            continue
        is_filled = isinstance(dataset, FolderDataset) and (dataset.metadata or {}).get("dvc") == _UNTRACKED
        if name not in outputs and not is_filled:
            continue
        path = dataset.path
        check_kind(path, name, is_folder=isinstance(dataset, FolderDataset | WholeFolderDataset))
        # a folder that is there is filled as it is; what is replaced whole is written beside
        _check_writable(path if is_filled else path.parent, name)


def _check_writable(path: Path, name: str) -> None:
    folder = nearest_existing(path)
    # also of root it says whether the disk is mounted to be read only
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise DataError(
            f"{folder}: cannot be written, and {name} is written there. Fix its permissions or its mount, "
            "and run again."
        )
