"""Trained arms as folders: weights, description, history, text tower; a timm model also in timm's form."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.datasets.whole import WholeFolderDataset
from stablerep.errors import DataError

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
        from stablerep.storage.digests import faults_of_files, warn_without_digests
        from stablerep.storage.tables import read_table
        from stablerep.storage.tensors import read_tensors
        from stablerep.training.arms import TrainedArm

        if faults := faults_of_files(path):
            raise DataError("; ".join(faults))
        described = _read_description(path / "encoder.json")
        arm = TrainedArm(
            **described.model_dump(exclude={"text"}),
            weights=read_tensors(path / "encoder.safetensors"),
            history=read_table(path / "history.parquet"),
            text=None if described.text is None else _load_text(path, described.text),
        )
        warn_without_digests(path)
        return arm

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


class _Text(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    sizes: dict[str, int]
    tokenizer: list[str]


class _Description(BaseModel):
    """The form of encoder.json."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    method: str
    images: str
    seed: int
    encoder_config: dict[str, Any]
    data: dict[str, Any] = Field(default_factory=dict)
    text: _Text | None = None  # arms that were saved before text towers were kept have no such key


def _read_description(path: Path) -> _Description:
    try:
        return _Description.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = "".join(f"{part}: " for part in fault["loc"])
        raise DataError(f"{path.name}: {key}{fault['msg']}") from error


def _load_text(folder: Path, described: _Text) -> "TrainedText":
    from stablerep.models.text import TrainedText
    from stablerep.storage.tensors import read_tensors

    files = {name: _read_text(folder / _TOKENIZER / name) for name in described.tokenizer}
    return TrainedText(described.sizes, read_tensors(folder / _TEXT_WEIGHTS), files)


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode()  # as bytes: reading text would translate line ends
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: {error}") from error
