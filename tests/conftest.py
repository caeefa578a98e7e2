"""What every test starts from, whatever the environment says and whatever runs left in this folder."""

import atexit
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# a shell's own: each changes where a run is tracked, what it reads or is part of, or how a message looks
_OF_A_SHELL = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_RUN_ID",
    "KEDRO_ENV",
    "KEDRO_LOGGING_CONFIG",
    "RAY_ADDRESS",
    "WORLD_SIZE",
    "RANK",
    "LOCAL_RANK",
    "COLUMNS",
    "FORCE_COLOR",
)
for _name in list(os.environ):
    if _name in _OF_A_SHELL or _name.startswith("ACCELERATE_"):
        del os.environ[_name]

# one thread a test process: pytest-xdist runs two of them side by side
os.environ.setdefault("OMP_NUM_THREADS", "1")
# no network, no report of usage, and no model or data set that somebody has downloaded before
_cache = tempfile.TemporaryDirectory(prefix="stablerep-tests-")
atexit.register(_cache.cleanup)
for _name in ("HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_XET_CACHE"):
    os.environ.pop(_name, None)
os.environ |= {"HF_HOME": _cache.name, "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}


@pytest.fixture(scope="session")
def read_committed() -> Callable[[str], str]:
    """Returns a function that reads a file as git has it.

    Users put captions of their own in the place of the shipped ones, and `make generator` writes a card of
    its own. Outside of a checkout the file itself is read.
    """

    def read(path: str) -> str:
        if not (ROOT / ".git").exists():
            return (ROOT / path).read_text(encoding="utf-8")
        command = ["git", "show", f"HEAD:{path}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
        return done.stdout

    return read


@pytest.fixture(scope="session")
def shipped_captions(read_committed: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The captions file that ships with the project."""
    path = tmp_path_factory.mktemp("shipped") / "captions.csv"
    path.write_text(read_committed("data/01_raw/captions.csv"), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def no_test_waits_for_a_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries two further times to read, at once."""
    monkeypatch.setattr("stablerep.storage.outages.DELAYS_S", (0, 0))
