"""Trained arms as folders: weights, description, history, text tower; a timm model also in timm's form."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.datasets.whole import WholeFolderDataset

if TYPE_CHECKING:
    from stablerep.models.text import TrainedText
    from stablerep.training.arms import TrainedArm

_TEXT_WEIGHTS = "text.safetensors"
_TOKENIZER = "tokenizer"


class EncoderDataset(WholeFolderDataset):
    """A trained arm: a folder with encoder.safetensors, encoder.json, history.parquet.

    The text tower of a method that uses text is text.safetensors and `tokenizer/`; encoder.json has its
    sizes, and the names of the tokenizer's files. A timm model also stands in `timm/`, as timm loads it by
    itself. SHA256SUMS has the digests of all these files; the arm is not loaded where one of them is another.
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

        from stablerep.storage.digests import faults_of_files, warn_without_digests
        from stablerep.training.arms import TrainedArm

        if faults := faults_of_files(path):
            raise ValueError("; ".join(faults))
        try:
            described = json.loads((path / "encoder.json").read_text(encoding="utf-8"))
            weights = load_file(path / "encoder.safetensors")
            history = pd.read_parquet(path / "history.parquet")
            # arms that were saved before text towers were kept have no such key
            text = _load_text(path, described.pop("text", None))
        except (AttributeError, FileNotFoundError, KeyError, SafetensorError) as error:
            raise ValueError(error) from error
        warn_without_digests(path)
        return TrainedArm(**described, weights=weights, history=history, text=text)

    def _advice(self) -> str:
        return f"Run `kedro run --namespaces training.{self._filepath.parent.name}.{self._filepath.name}`."


def save_arm(folder: Path, arm: "TrainedArm") -> None:
    """Writes an arm's files to a folder, which is made where it is missing."""
    from safetensors.torch import save_file

    from stablerep.models.export import export_to_timm
    from stablerep.storage.digests import write_digests
    from stablerep.training.arms import card_facts_of

    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.contiguous() for name, weight in arm.weights.items()}
    save_file(weights, folder / "encoder.safetensors")
    described: dict[str, Any] = {
        "name": arm.name,
        "method": arm.method,
        "images": arm.images,
        "seed": arm.seed,
        "encoder_config": arm.encoder_config,
    }
    if arm.data:
        described["data"] = arm.data
    if arm.text is not None:
        described["text"] = _save_text(folder, arm.text)
    (folder / "encoder.json").write_text(json.dumps(described, indent=2), encoding="utf-8")
    arm.history.to_parquet(folder / "history.parquet", index=False)
    export_to_timm(arm.encoder_config, arm.weights, card_facts_of(arm), folder / "timm")
    write_digests(folder)


def _save_text(folder: Path, text: "TrainedText") -> dict[str, Any]:
    """Writes a text tower's files; returns what encoder.json says of it."""
    from safetensors.torch import save_file

    save_file({name: weight.contiguous() for name, weight in text.weights.items()}, folder / _TEXT_WEIGHTS)
    (folder / _TOKENIZER).mkdir(exist_ok=True)
    for name, content in text.tokenizer.items():
        (folder / _TOKENIZER / name).write_bytes(content.encode())
    return {"sizes": dict(text.sizes), "tokenizer": sorted(text.tokenizer)}


def _load_text(folder: Path, described: Mapping[str, Any] | None) -> "TrainedText | None":
    from safetensors.torch import load_file

    from stablerep.models.text import TrainedText

    if described is None:
        return None
    # as bytes: reading text would translate line ends
    files = {name: (folder / _TOKENIZER / name).read_bytes().decode() for name in described["tokenizer"]}
    return TrainedText(described["sizes"], load_file(folder / _TEXT_WEIGHTS), files)
