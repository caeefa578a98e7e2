"""A folder is replaced as a whole, wherever its writer is killed."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stablerep.errors import DataError
from stablerep.storage import whole_folders
from stablerep.storage.whole_folders import folder_written_whole, recover_folder


def write(path: Path, content: str) -> None:
    with folder_written_whole(path) as beside:
        (beside / "deep").mkdir()
        (beside / "deep" / "file").write_text(content)


def read(path: Path) -> str:
    recover_folder(path)
    return (path / "deep" / "file").read_text()


@pytest.fixture(params=["exchange", "two renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    if request.param == "two renames":
        monkeypatch.setattr(whole_folders, "_exchange", lambda one, other: False)
    else:
        for name in ("probe-1", "probe-2"):
            (tmp_path / name).mkdir()
        if not whole_folders._exchange(tmp_path / "probe-1", tmp_path / "probe-2"):
            pytest.skip("this file system cannot exchange two folders")
        for name in ("probe-1", "probe-2"):
            (tmp_path / name).rmdir()
    return str(request.param)


def test_a_folder_is_made_and_replaced_and_nothing_is_left_beside(way: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder"
    write(path, "old")
    assert read(path) == "old"
    (path / "stale").touch()
    write(path, "new")
    assert read(path) == "new"
    assert not (path / "stale").exists()
    assert list(path.parent.iterdir()) == [path]


def test_an_exchange_swaps_two_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"was-{name}").touch()
    if not whole_folders._exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange two folders")
    assert (tmp_path / "a" / "was-b").exists()
    assert (tmp_path / "b" / "was-a").exists()


def test_an_exchange_that_fails_for_another_reason_is_an_error(tmp_path: Path) -> None:
    if not hasattr(whole_folders.ctypes.CDLL(None), "renameat2"):
        pytest.skip("this system has no exchange")
    with pytest.raises(FileNotFoundError):
        whole_folders._exchange(tmp_path / "none", tmp_path / "neither")


def test_a_writer_that_fails_leaves_the_old_folder(way: str, tmp_path: Path) -> None:
    path = tmp_path / "folder"
    write(path, "old")
    told = "folder: cannot be written .No space left on device.. What is there is kept"
    with pytest.raises(DataError, match=told), folder_written_whole(path) as beside:
        (beside / "half").touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(ZeroDivisionError), folder_written_whole(path) as beside:
        (beside / "half").touch()
        raise ZeroDivisionError
    assert read(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_rename_that_fails_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder"
    write(path, "old")
    rename = Path.rename

    def refuse_new(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(self, target)

    monkeypatch.setattr(whole_folders, "_exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(DataError, match="Permission denied"):
        write(path, "new")
    assert read(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_every_file_and_folder_is_synced_before_the_folder_takes_its_place(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder"
    write(path, "old")
    synced: list[tuple[str, str]] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        synced.append((name, (path / "deep" / "file").read_text()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write(path, "new")
    assert synced == [
        ("file", "old"),
        ("deep", "old"),
        (".folder.partial", "old"),
        (tmp_path.name, "new"),
    ]


# the writer dies at its n-th call of a function; what is read afterwards
KILLS = [
    ("exchange", "os.fsync", 1, "old"),
    ("exchange", "whole_folders._exchange", 1, "old"),
    ("exchange", "whole_folders.sync_folder", 3, "new"),  # the exchange is done, the old folder still there
    ("two renames", "os.fsync", 2, "old"),
    ("two renames", "os.rename", 1, "old"),
    ("two renames", "os.rename", 2, "old"),  # no folder under the name
    ("two renames", "os.rename", 3, "new"),
    ("two renames", "whole_folders.shutil.rmtree", 1, "new"),
]
_WRITER = """
import os, signal, sys
from pathlib import Path
from stablerep.storage import whole_folders

path, way, owner, name, calls = sys.argv[1:]
left = int(calls)
if way == "two renames":
    whole_folders._exchange = lambda one, other: False
owner = eval(owner)
real = getattr(owner, name)

def dying(*args, **kwargs):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)

setattr(owner, name, dying)
with whole_folders.folder_written_whole(Path(path)) as beside:
    (beside / "deep").mkdir()
    (beside / "deep" / "file").write_text("new")
"""


@pytest.mark.parametrize(("way", "function", "calls", "expected"), KILLS)
def test_a_writer_that_is_killed_leaves_a_whole_folder_and_the_next_one_cleans_up(
    way: str, function: str, calls: int, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "folder"
    write(path, "old")
    killed = subprocess.run(
        [sys.executable, "-c", _WRITER, str(path), way, *function.rsplit(".", 1), str(calls)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    assert read(path) == expected
    write(path, "newest")
    assert read(path) == "newest"
    assert list(tmp_path.iterdir()) == [path]


def test_a_half_removed_old_folder_is_never_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder"
    write(path, "old")
    monkeypatch.setattr(whole_folders, "_exchange", lambda one, other: False)
    monkeypatch.setattr(shutil, "rmtree", lambda folder: (_ for _ in ()).throw(OSError("killed here")))
    write(path, "new")
    monkeypatch.undo()
    shutil.rmtree(path)
    recover_folder(path)
    assert not path.exists()


def test_what_stands_there_may_be_a_link(tmp_path: Path, way: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "folder"
    path.symlink_to(tmp_path / "elsewhere")
    write(path, "new")
    write(path, "newer")
    assert read(path) == "newer"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["elsewhere", "folder"]
