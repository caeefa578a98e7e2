"""Digests beside files: every fault of a recorded file is named, and coreutils reads the same file."""

import errno
import logging
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stablerep.storage.digests import (
    DIGESTS_FILE,
    faults_of_files,
    has_digests,
    warn_without_digests,
    write_digests,
)
from stablerep.storage.outages import OutageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner part").mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(range(256)))
    (tmp_path / "inner part" / "größe.json").write_text("{}")
    write_digests(tmp_path)
    return tmp_path


def test_files_as_they_were_recorded_have_no_fault(folder: Path) -> None:
    assert has_digests(folder) and faults_of_files(folder) == []
    assert len((folder / DIGESTS_FILE).read_text(encoding="utf-8").splitlines()) == 2


def test_a_second_record_is_the_same_and_does_not_list_itself(folder: Path) -> None:
    before = (folder / DIGESTS_FILE).read_bytes()
    write_digests(folder)
    assert (folder / DIGESTS_FILE).read_bytes() == before


def test_a_folder_without_a_record_has_no_fault_that_is_known(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"1")
    assert not has_digests(tmp_path) and faults_of_files(tmp_path) == []


def test_only_the_parts_that_are_named_are_recorded(folder: Path) -> None:
    write_digests(folder, ["inner part"])
    (folder / "weights.bin").write_bytes(b"another")
    assert faults_of_files(folder) == []


@pytest.mark.parametrize("position", [0, 100, 255])
def test_one_flipped_bit_is_a_fault(folder: Path, position: int) -> None:
    data = bytearray((folder / "weights.bin").read_bytes())
    data[position] ^= 1
    (folder / "weights.bin").write_bytes(data)
    assert faults_of_files(folder) == ["weights.bin is not the file that SHA256SUMS records"]


def test_a_missing_file_and_a_folder_in_the_place_of_one_are_named(folder: Path) -> None:
    (folder / "weights.bin").unlink()
    (folder / "inner part" / "größe.json").unlink()
    (folder / "inner part" / "größe.json").mkdir()
    first, second = faults_of_files(folder)
    assert first == "inner part/größe.json cannot be read (Is a directory)"
    assert second == "weights.bin is missing"


@pytest.mark.parametrize(
    "line", ["", "half", "0" * 63 + "  a", "0" * 64 + " a", "0" * 64 + "  /etc/passwd", "0" * 64 + "  ../a"]
)
def test_a_record_that_is_none_is_a_fault(folder: Path, line: str) -> None:
    (folder / DIGESTS_FILE).write_text(line)
    (fault,) = faults_of_files(folder)
    assert fault.startswith("SHA256SUMS cannot be read (")


def test_a_record_of_binary_content_is_a_fault(folder: Path) -> None:
    (folder / DIGESTS_FILE).write_bytes(b"\xff\xfe\x00")
    assert faults_of_files(folder)[0].startswith("SHA256SUMS cannot be read (")


@pytest.mark.parametrize("name", ["weights.bin", DIGESTS_FILE])
def test_a_file_system_that_fails_is_no_fault_of_a_file(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def fail(path: Path, *args: object, **options: object) -> object:
        if path.name == name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(path, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(OutageError, match=rf"{name}: the file system failed \(Input/output error\)"):
        faults_of_files(folder)


def test_a_warning_is_logged_only_where_no_digests_were_recorded(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        warn_without_digests(folder)
        assert not caplog.text
        warn_without_digests(folder / "inner part")
    assert "inner part: no SHA256SUMS; whether its files changed is not known" in caplog.text


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs coreutils")
def test_coreutils_checks_what_is_written_and_writes_what_is_checked(folder: Path) -> None:
    command = ["sha256sum", "--check", "--strict", DIGESTS_FILE]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    theirs = subprocess.run(["sha256sum", "weights.bin"], cwd=folder, check=True, capture_output=True)
    (folder / DIGESTS_FILE).write_bytes(theirs.stdout)
    assert faults_of_files(folder) == []
    (folder / "weights.bin").write_bytes(b"another")
    assert len(faults_of_files(folder)) == 1
