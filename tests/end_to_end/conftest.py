"""A checkout of its own for each end-to-end test: what git tracks, and what it would track."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


def environment_of(checkout: Path) -> dict[str, str]:
    """The environment of a user who stands in the checkout, its tools first on the path."""
    environment = dict(os.environ)
    environment.pop("MLFLOW_TRACKING_URI", None)  # MLflow sets it for this process
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = str(checkout / "src")
    environment["DO_NOT_TRACK"] = "1"
    return environment


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copies the working tree into a git repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    target = tmp_path / "checkout"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    for command in (
        ["git", "init", "-q"],
        ["git", "add", "-A"],
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"],
    ):
        subprocess.run(command, cwd=target, check=True)
    return target


@pytest.fixture
def run(checkout: Path) -> Run:
    """Runs a command in the checkout and returns how it ended."""

    def call(*command: str, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=checkout,
            env=environment_of(checkout) | dict(extra or {}),
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    return call
