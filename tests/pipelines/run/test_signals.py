"""SIGTERM during a run: killed in MLflow, exit code 143, handlers as they were."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from kedro.framework.cli.project import run as kedro_run

from pipelines import cli
from pipelines.run.lock import hold_data_folder
from pipelines.run.signals import Terminated, raising_on_termination
from stablerep.errors import StoppedError


def tell_to_end(**options: Any) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
    pytest.fail("must not go on")


def test_a_run_that_is_told_to_end_is_killed_in_mlflow_and_lets_go_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(cli, "PROJECT", tmp_path)
    monkeypatch.setitem(sys.modules, "pipelines.tracking.run", SimpleNamespace(end_open_runs=ended.append))
    monkeypatch.setattr(kedro_run, "callback", tell_to_end)
    before = signal.getsignal(signal.SIGTERM)
    result = CliRunner().invoke(cli.cli, ["run"])
    assert result.exit_code == 143
    assert ended == ["KILLED"]
    assert signal.getsignal(signal.SIGTERM) == before
    with hold_data_folder(tmp_path / "data"):
        pass


def test_a_run_that_stopped_after_a_step_has_a_signals_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(**options: Any) -> None:
        raise StoppedError("arm 'x': stopped by a signal")

    monkeypatch.setattr(cli, "PROJECT", tmp_path)
    monkeypatch.setattr(kedro_run, "callback", stop)
    result = CliRunner().invoke(cli.cli, ["run"])
    assert result.exit_code == 143
    assert "StoppedError: arm 'x'" in result.output


def test_children_are_told_as_well() -> None:
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    child.start()
    with pytest.raises(Terminated), raising_on_termination():
        tell_to_end()
    child.join(20)
    assert child.exitcode == -signal.SIGTERM


def test_a_handler_of_a_room_stands_before_and_the_outer_one_comes_back() -> None:
    told: list[int] = []
    with raising_on_termination():
        outer = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
        os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(signal.SIGTERM, outer)
        assert told == [signal.SIGTERM]
        with pytest.raises(Terminated):
            tell_to_end()


def test_outside_of_the_main_thread_nothing_is_taken() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[Any] = []

    def work() -> None:
        with raising_on_termination():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
