"""Tensors are written whole or not at all, also when the disk is full; damaged ones are named."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from stablerep.errors import DataError
from stablerep.storage.checkpoints import read_facts, save_checkpoint
from stablerep.storage.tensors import read_tensors, remove_leftovers, save_tensors
from tests.stablerep.storage.full_disk import full_disk


def test_tensors_and_metadata_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.safetensors"
    save_tensors(path, {"a": torch.arange(3)}, {"facts": "{}"})
    assert torch.equal(load_file(path)["a"], torch.arange(3))
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"facts": "{}"}


def test_a_full_disk_is_a_data_error_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"a": torch.zeros(3)})
    with (
        full_disk(4096),
        pytest.raises(DataError, match=r"a\.safetensors: cannot be written .*File too large.*free some"),
    ):
        save_tensors(path, {"a": torch.zeros(10_000)})
    assert load_file(path)["a"].shape == (3,)
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_checkpoint_on_a_full_disk_keeps_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "step-1.safetensors"
    model = torch.nn.Linear(100, 100)
    optimizer = torch.optim.AdamW(model.parameters())
    save_checkpoint(path, model, optimizer, {"step": 1})
    with full_disk(4096), pytest.raises(DataError, match=r"step-1\.safetensors: cannot be written"):
        save_checkpoint(path, model, optimizer, {"step": 2})
    assert read_facts(path) == {"step": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["step-1.safetensors"]


def test_a_folder_that_cannot_be_made_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        save_tensors(tmp_path / "file" / "a.safetensors", {"a": torch.zeros(3)})


def test_leftovers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    kept, gone = ["a.safetensors", "batch.json", "notes.partial"], ["a.safetensors.partial", ".tmpX1"]
    for name in (*kept, *gone):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == kept
    remove_leftovers(tmp_path / "absent")


@pytest.mark.parametrize("content", [b"", b"garbage" * 9, b"\x08" + b"\x00" * 7 + b'{"a": 1}'])
def test_damaged_tensors_are_named_and_missing_ones_are_missing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"^x\.safetensors: "):
        read_tensors(tmp_path / "x.safetensors")
    with pytest.raises(FileNotFoundError) as raised:
        read_tensors(tmp_path / "nope")
    assert raised.value.filename == str(tmp_path / "nope")
