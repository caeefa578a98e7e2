"""The datasets that Kedro does not have: captions, takedowns, edits, folders, encoders, figures, seconds.

Whatever they write is whole or not there: a killed run leaves what was there before.
"""

import json
import shutil
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

from kedro.io import AbstractDataset

from stablerep.errors import DataError
from stablerep.storage.whole_files import written_whole

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from matplotlib.figure import Figure

    from stablerep.curation.people.edits import Edits
    from stablerep.curation.reading.engine import CaptionFiles
    from stablerep.training.arms import TrainedArm


def _beside(path: Path) -> Path:
    """Returns a new name in the same folder, so that os.replace stays on one file system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{uuid4().hex[:8]}")


class _PathDataset(AbstractDataset[Any, Any]):
    """What all of them share: a path, and `metadata` for the catalog's readers."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _refuse(self) -> NoReturn:
        raise DataError(f"{self._filepath}: an input; must not be an output of a node.")


class CaptionFilesDataset(_PathDataset):
    """What people bring: a captions file or a glob of them, too large for memory; never written."""

    def load(self) -> "CaptionFiles":
        """Returns the files, not read yet."""
        from stablerep.curation.reading.engine import CaptionFiles

        return CaptionFiles(str(self._filepath))

    def _exists(self) -> bool:
        return bool(glob(str(self._filepath), recursive=True))

    def save(self, data: Any) -> None:
        """Raises DataError."""
        self._refuse()


class TakedownsCSVDataset(_PathDataset):
    """What was taken down; read by `stablerep.curation.people.takedowns`, written by `stablerep takedown`."""

    def load(self) -> "pd.DataFrame":
        """Returns what, kind, reason, date, who."""
        from stablerep.curation.people.takedowns import read_takedowns

        return read_takedowns(self._filepath)

    def save(self, data: Any) -> None:
        """Raises DataError."""
        self._refuse()


class CaptionEditsCSVDataset(_PathDataset):
    """What people edit of captions without touching their files; read by `curation.people.edits`."""

    def load(self) -> "Edits":
        """Returns the edits, checked line by line."""
        from stablerep.curation.people.edits import Edits, read_edits

        return Edits(read_edits(self._filepath), self._filepath)

    def save(self, data: Any) -> None:
        """Raises DataError."""
        self._refuse()


class LazyParquetDataset(_PathDataset):
    """A table that may be larger than memory, as a Parquet file."""

    def load(self) -> "pl.LazyFrame":
        """Returns the table, not read yet."""
        import polars as pl

        return pl.scan_parquet(self._filepath)

    def save(self, data: "pl.LazyFrame") -> None:
        """Writes the table, a part of its rows at a time."""
        from stablerep.storage.lazy_tables import write_parquet

        write_parquet(self._filepath, data)


class FolderDataset(_PathDataset):
    """A folder that nodes read and write themselves; they are given its absolute path."""

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        """Takes `path`, as Kedro calls a folder."""
        super().__init__(path, metadata)

    def load(self) -> Path:
        """Returns the absolute path, whether or not the folder is there."""
        return self._filepath.absolute()

    def save(self, data: Any) -> None:
        """Raises DataError."""
        self._refuse()


class SecondsDataset(_PathDataset):
    """Seconds by node; the tracking hook adds to it after each node."""

    def load(self) -> dict[str, float]:
        """Returns node name -> seconds; nothing where no run has written yet."""
        if not self._filepath.exists():
            return {}
        try:
            return dict(json.loads(self._filepath.read_text(encoding="utf-8")))
        except ValueError as error:
            raise DataError(
                f"{self._filepath}: not JSON ({error}). Remove it: the next run writes it anew."
            ) from error

    def save(self, data: dict[str, float]) -> None:
        """Adds to what is there; a node's newer figure replaces its older one."""
        with written_whole(self._filepath) as beside:
            beside.write_text(json.dumps({**self.load(), **data}, indent=2), encoding="utf-8")


class FigureDataset(_PathDataset):
    """A matplotlib figure as PNG; written, never read."""

    def load(self) -> NoReturn:
        """Raises DataError."""
        raise DataError(f"{self._filepath}: a picture for people; must not be an input of a node.")

    def save(self, data: "Figure") -> None:
        """Writes the figure."""
        with written_whole(self._filepath) as beside:
            data.savefig(beside, format="png", dpi=150, bbox_inches="tight")


class EncoderDataset(FolderDataset):
    """A trained arm: a folder with encoder.safetensors, encoder.json, history.parquet.

    A timm model also stands in `timm/`, as timm loads it by itself.
    """

    def load(self) -> "TrainedArm":  # type: ignore[override]
        """Returns the arm."""
        return _load_arm(self._filepath)

    def save(self, data: "TrainedArm") -> None:
        """Writes the arm beside the old folder, then swaps the two."""
        temporary, old = _beside(self._filepath), _beside(self._filepath)
        save_arm(temporary, data)
        if self._filepath.exists():
            self._filepath.rename(old)
        temporary.rename(self._filepath)
        shutil.rmtree(old, ignore_errors=True)


def save_arm(folder: Path, arm: "TrainedArm") -> None:
    """Writes an arm's files to a new folder."""
    from safetensors.torch import save_file

    from stablerep.models.export import export_to_timm

    folder.mkdir(parents=True)
    weights = {name: weight.contiguous() for name, weight in arm.weights.items()}
    save_file(weights, folder / "encoder.safetensors")
    described = {
        "name": arm.name,
        "method": arm.method,
        "images": arm.images,
        "encoder_config": arm.encoder_config,
    }
    (folder / "encoder.json").write_text(json.dumps(described, indent=2), encoding="utf-8")
    arm.history.to_parquet(folder / "history.parquet", index=False)
    export_to_timm(arm.encoder_config, arm.weights, folder / "timm")


def _load_arm(folder: Path) -> "TrainedArm":
    import pandas as pd
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from stablerep.training.arms import TrainedArm

    try:
        described = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "encoder.safetensors")
        history = pd.read_parquet(folder / "history.parquet")
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(
            f"{folder}: not a whole encoder ({error}); must hold encoder.safetensors, encoder.json and "
            f"history.parquet. Run `kedro run --namespaces training.{folder.name}`."
        ) from error
    return TrainedArm(**described, weights=weights, history=history)
