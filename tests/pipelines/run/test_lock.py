"""One run at a time on a data folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.run.lock import hold_data_folder
from stablerep.errors import BusyError

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
