"""One run at a time on a data folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.run.lock import LOCK_NAME, hold_data_folder
from stablerep.errors import BusyError, DataError
from tests.pipelines.unprivileged import folder_of_nobody

PROJECT = Path(__file__).parents[3]
HOLD = """
from pathlib import Path
from pipelines.run.lock import hold_data_folder
with hold_data_folder(Path({!r})):
    pass
"""


def hold_elsewhere(folder: Path) -> subprocess.CompletedProcess[str]:
    code = HOLD.format(str(folder))
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_a_second_run_is_told_to_wait_and_the_first_goes_on(tmp_path: Path) -> None:
    with hold_data_folder(tmp_path / "data"):
        second = hold_elsewhere(tmp_path / "data")
        assert second.returncode == 1
        assert "BusyError" in second.stderr
        assert "Wait for it to end" in second.stderr
    assert hold_elsewhere(tmp_path / "data").returncode == 0


def test_a_failed_run_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fault"), hold_data_folder(tmp_path):
        raise ValueError("fault")
    with hold_data_folder(tmp_path):
        pass


def test_the_same_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    with hold_data_folder(tmp_path), pytest.raises(BusyError), hold_data_folder(tmp_path):
        pass


def test_another_folder_is_free(tmp_path: Path) -> None:
    with hold_data_folder(tmp_path / "a"), hold_data_folder(tmp_path / "b"):
        for name in ("a", "b"):  # both are held at once
            with pytest.raises(BusyError), hold_data_folder(tmp_path / name):
                pass


def test_a_file_in_the_place_of_the_data_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with (
        pytest.raises(DataError, match=r"data: not a folder; must be one, because the project's data.*git"),
        hold_data_folder(tmp_path / "data"),
    ):
        pytest.fail("must not run")
    assert (tmp_path / "data").read_text() == "x"


def test_a_lock_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).mkdir()
    with (
        pytest.raises(DataError, match=r"\.run\.lock: a folder; must be a file, because the lock of a run"),
        hold_data_folder(tmp_path),
    ):
        pytest.fail("must not run")


@pytest.mark.parametrize(("inside", "place"), [(True, LOCK_NAME), (False, "data")])
def test_a_folder_that_cannot_be_written_is_named(inside: bool, place: str) -> None:
    with folder_of_nobody() as folder:
        data = folder / "data"
        if inside:
            data.mkdir()
        (data if inside else folder).chmod(0o555)
        told = rf"{place}: cannot be made \(Permission denied\).*Make the folder writable"
        with pytest.raises(DataError, match=told), hold_data_folder(data):
            pytest.fail("must not run")
        folder.chmod(0o755)
