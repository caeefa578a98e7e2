"""Kill -9 or a power cut at any moment leaves an encoder whole, or the checkpoints of its training.

A power cut is simulated. The disk is taken to hold the content of a file as it was when the file was synced
last. The names in a folder are as they were when the folder was synced last, or as they are: a file system
may write them early, those of one folder before those of another. After each operation that changes names or
syncs, what the disk would hold is put into a folder, and is read there.
"""

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pipelines.datasets import EncoderDataset
from pipelines.run.current import ItemsHooks
from stablerep.storage import whole_folders
from stablerep.storage.checkpoints import load_checkpoint, save_checkpoint
from tests.pipelines.dying_saves import trained_arm

Folder = dict[str, int]  # name -> number of a file or folder
# below which folders names are as they are, whatever was synced
CUTS = {
    "power cut, all names written": ("",),
    "power cut, no names written": (),
    "power cut, names of the checkpoints written": ("work",),
}
KILLED = "killed"


class Disk:
    """Watches what a process does below a folder, and what of it a disk is sure to hold.

    Files and folders are numbered: the system gives an inode's number again after its end.
    """

    def __init__(self, root: Path, after: Callable[[str], None], patch: pytest.MonkeyPatch) -> None:
        self.root, self.after = root, after
        self.fresh = itertools.count()
        self.numbers: dict[int, int] = {}  # inode -> number
        self.files: dict[int, bytes] = {}
        self.folders: dict[int, Folder] = {}
        for folder, _, names in os.walk(root):
            for name in names:
                self.note(Path(folder, name))
            self.note(Path(folder))
        for name in ("rename", "replace", "unlink", "rmdir", "mkdir"):
            patch.setattr(os, name, self.watched(name, getattr(os, name)))
        patch.setattr(whole_folders, "_exchange", self.watched("exchange", whole_folders._exchange))
        sync = os.fsync

        def synced(descriptor: int) -> None:
            sync(descriptor)
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            if path.is_relative_to(root):
                self.note(path)
                self.after(f"sync {path.name}")

        patch.setattr(os, "fsync", synced)

    def watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            path = given[-1] if name in ("rename", "replace") else given[0]
            place = named.get("dir_fd")
            ends = name not in ("mkdir", "exchange") and self.inode(path, place)
            found = real(*given, **named)
            if ends:
                self.numbers.pop(ends, None)
            whole = Path(f"/proc/self/fd/{place}").resolve() / path if place is not None else Path(path)
            if whole.is_relative_to(self.root):
                self.after(f"{name} {whole.name}")
            return found

        return call

    def inode(self, path: Any, place: int | None = None) -> int | None:
        try:
            return os.stat(path, dir_fd=place, follow_symlinks=False).st_ino
        except FileNotFoundError:
            return None

    def number(self, path: Path) -> int:
        return self.numbers.setdefault(path.stat().st_ino, next(self.fresh))

    def note(self, path: Path) -> None:
        """Writes down what the disk is sure to hold of a file or folder from now on."""
        if path.is_dir():
            self.folders[self.number(path)] = {each.name: self.number(each) for each in path.iterdir()}
        else:
            self.files[self.number(path)] = path.read_bytes()

    def after_power_cut(self, into: Path, written: tuple[str, ...]) -> None:
        """Writes what the disk holds after a power cut to a folder.

        Args:
            into: the folder.
            written: folders below which names are on the disk that were not synced.
        """
        roots = [self.root / each for each in written]
        now = {
            self.number(each): each for root in roots for each in (root, *root.rglob("*")) if each.is_dir()
        }
        self._restore(self.number(self.root), into, now)

    def _restore(self, number: int, into: Path, now: dict[int, Path]) -> None:
        if number in now:
            names = {each.name: self.number(each) for each in now[number].iterdir()}
        elif number in self.folders:
            names = self.folders[number]
        else:
            into.write_bytes(self.files.get(number, b""))
            return
        into.mkdir(parents=True)
        for name, each in names.items():
            self._restore(each, into / name, now)


def write_checkpoint(folder: Path) -> None:
    model = torch.nn.Linear(2, 2)
    save_checkpoint(folder / "step-9.safetensors", model, torch.optim.SGD(model.parameters()), {"step": 9})


def checkpoint_is_whole(folder: Path) -> bool:
    path, model = folder / "step-9.safetensors", torch.nn.Linear(2, 2)
    return path.is_file() and load_checkpoint(path, model, torch.optim.SGD(model.parameters()))["step"] == 9


def version_in(data: Path) -> int | None:
    """Returns which version of the encoder is there, None for none; it must be whole."""
    dataset = EncoderDataset(str(data / "encoders/a/seed_0"))
    if not dataset.exists():
        return None
    found = dataset.load()
    version = int(found.weights["w"][0, 0])
    assert found.text.sizes == {"width": version}
    assert found.history["loss"].tolist() == [2.0, float(version)]
    return version


def finish_run(data: Path) -> None:
    """Saves the encoder, and removes the checkpoints, as the end of a run does."""
    EncoderDataset(str(data / "encoders/a/seed_0")).save(trained_arm(2))
    catalog = SimpleNamespace(load=lambda name: data / "work")
    pipeline = SimpleNamespace(all_outputs=lambda: {"encoder_of_a_seed_0"})
    ItemsHooks().after_pipeline_run(pipeline, catalog)  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("way", ["exchange", "two renames"])
@pytest.mark.parametrize("before", [None, 1])
def test_at_each_moment_an_encoder_or_the_checkpoints_are_whole(
    way: str, before: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, held = tmp_path / "data", tmp_path / "held"
    write_checkpoint(data / "work/seed_0/a")
    if before is not None:
        EncoderDataset(str(data / "encoders/a/seed_0")).save(trained_arm(before))
    if way == "two renames":
        monkeypatch.setattr(whole_folders, "_exchange", lambda one, other: False)
    moments: list[str] = []

    def remember(done: str) -> None:
        shutil.copytree(data, held / f"{len(moments)}-{KILLED}")
        for cut, written in CUTS.items():
            disk.after_power_cut(held / f"{len(moments)}-{cut}", written)
        moments.append(done)

    with monkeypatch.context() as patch:
        disk = Disk(data, remember, patch)
        finish_run(data)
    assert not (data / "work/seed_0/a").exists() and version_in(data) == 2
    assert sum(done.startswith("sync") for done in moments) > 8
    for number, done in enumerate(moments):
        for cut in (KILLED, *CUTS):
            left = held / f"{number}-{cut}"
            version = version_in(left)
            assert version in (before, 2), f"{cut} after {done}"
            assert version == 2 or checkpoint_is_whole(left / "work/seed_0/a"), f"{cut} after {done}"
