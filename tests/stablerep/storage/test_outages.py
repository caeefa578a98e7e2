"""An outage of a file system is waited for, and is never taken for damage."""

import errno
from pathlib import Path

import pytest

from stablerep.generation.accounts.ledger import Ledger
from stablerep.generation.accounts.software import read_software
from stablerep.storage import outages
from stablerep.storage.outages import (
    MissingFileError,
    OutageError,
    file_faults,
    read_patiently,
    refuse_outage,
)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Returns the seconds that were waited, one after the other; none of them passes."""
    waited: list[float] = []
    monkeypatch.setattr(outages, "DELAYS_S", (1, 2, 4))
    monkeypatch.setattr(outages.time, "sleep", waited.append)
    return waited


class Failing:
    """A file whose first reads fail."""

    def __init__(self, num: int) -> None:
        self.num = num

    def __call__(self) -> bytes:
        self.num -= 1
        with file_faults(Path("x.tar")):
            if self.num >= 0:
                raise OSError(errno.ESTALE, "Stale file handle")
        return b"whole"


@pytest.mark.parametrize("num", [0, 1, 3])
def test_a_read_that_fails_for_a_while_is_tried_again_with_growing_pauses(
    num: int, slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    assert read_patiently(Failing(num)) == b"whole"
    assert slept == [1, 2, 4][:num]
    assert len(caplog.messages) == num
    assert all("x.tar: the file system failed (Stale file handle)" in line for line in caplog.messages)


def test_an_outage_that_stays_is_raised_after_the_last_pause(slept: list[float]) -> None:
    with pytest.raises(OutageError, match=r"x\.tar: the file system failed \(Stale file handle\)"):
        read_patiently(Failing(4))
    assert slept == [1, 2, 4]


def test_what_is_no_outage_is_raised_at_once(slept: list[float]) -> None:
    def undecodable() -> None:
        with file_faults(Path("x.png")):
            raise OSError("image file is truncated")  # as Pillow does, without a number

    with pytest.raises(OSError, match="truncated"):
        read_patiently(undecodable)
    assert slept == []


def test_the_pauses_are_shorter_in_all_than_other_processes_wait() -> None:
    from torch.distributed.distributed_c10d import default_pg_nccl_timeout

    wanted = default_pg_nccl_timeout
    assert 60 < sum(outages_as_shipped()) < (600 if wanted is None else wanted.total_seconds())


def outages_as_shipped() -> tuple[int, ...]:
    import importlib.util

    spec = importlib.util.find_spec("stablerep.storage.outages")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.DELAYS_S


def test_a_missing_file_is_an_outage_too(tmp_path: Path) -> None:
    told = "is missing. Mount its disk again"
    with pytest.raises(MissingFileError, match=told), file_faults(tmp_path / "none"):
        (tmp_path / "none").read_bytes()


def test_who_goes_on_without_a_damaged_file_does_not_go_on_in_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_outage(tmp_path, ValueError("no JSON"))
    refuse_outage(tmp_path, IsADirectoryError(errno.EISDIR, "Is a directory"))
    (tmp_path / "set.ledger.json").write_text("{}")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/software.json").write_text("{}")

    def fails(*_: object, **__: object) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_text", fails)
    with pytest.raises(OutageError, match=r"set\.ledger\.json: the file system failed"):
        Ledger(tmp_path / "set", None)
    with pytest.raises(OutageError, match=r"software\.json: the file system failed"):
        read_software(tmp_path / "set")
