"""The record of a run, by which it is compared with others."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.datasets.whole import WholeFolderDataset

if TYPE_CHECKING:
    from stablerep.reporting.record import RunRecord


class RunRecordDataset(WholeFolderDataset):
    """A folder that `stablerep.reporting.record` writes."""

    form = "the record of a run"

    def __init__(self, path: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Takes `path`, as Kedro calls a folder."""
        super().__init__(path, metadata)

    def _write(self, beside: Path, data: "RunRecord") -> None:
        from stablerep.reporting.record import write_record

        write_record(beside, data)

    def _read(self, path: Path) -> "RunRecord":
        from stablerep.reporting.record import read_record

        return read_record(path)
