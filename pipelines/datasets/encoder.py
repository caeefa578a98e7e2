"""Trained arms as folders: weights, description and history, and a timm model also in timm's form."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.datasets.whole import WholeFolderDataset

if TYPE_CHECKING:
    from stablerep.training.arms import TrainedArm


class EncoderDataset(WholeFolderDataset):
    """A trained arm: a folder with encoder.safetensors, encoder.json, history.parquet.

    A timm model also stands in `timm/`, as timm loads it by itself.
    """

    form = "a folder with encoder.safetensors, encoder.json and history.parquet"

    def __init__(self, path: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Takes `path`, as Kedro calls a folder."""
        super().__init__(path, metadata)

    def _write(self, beside: Path, data: "TrainedArm") -> None:
        from safetensors import SafetensorError

        try:
            save_arm(beside, data)
        except SafetensorError as error:  # also where the disk is full
            raise OSError(str(error)) from error

    def _read(self, path: Path) -> "TrainedArm":
        import pandas as pd
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from stablerep.training.arms import TrainedArm

        try:
            described = json.loads((path / "encoder.json").read_text(encoding="utf-8"))
            weights = load_file(path / "encoder.safetensors")
            history = pd.read_parquet(path / "history.parquet")
        except (FileNotFoundError, SafetensorError) as error:
            raise ValueError(error) from error
        return TrainedArm(**described, weights=weights, history=history)

    def _advice(self) -> str:
        return f"Run `kedro run --namespaces training.{self._filepath.parent.name}.{self._filepath.name}`."


def save_arm(folder: Path, arm: "TrainedArm") -> None:
    """Writes an arm's files to a folder, which is made where it is missing."""
    from safetensors.torch import save_file

    from stablerep.models.export import export_to_timm

    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.contiguous() for name, weight in arm.weights.items()}
    save_file(weights, folder / "encoder.safetensors")
    described = {
        "name": arm.name,
        "method": arm.method,
        "images": arm.images,
        "seed": arm.seed,
        "encoder_config": arm.encoder_config,
    }
    (folder / "encoder.json").write_text(json.dumps(described, indent=2), encoding="utf-8")
    arm.history.to_parquet(folder / "history.parquet", index=False)
    export_to_timm(arm.encoder_config, arm.weights, folder / "timm")
