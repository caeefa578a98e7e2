"""Runs that are killed at random moments, several times each, end as a run that was not killed."""

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.campaign.outcome import environment_of, kedro_run

pytestmark = pytest.mark.campaign
_KILLS = 4  # of each run
# of a whole run's time, after a start: four of them together are about one run
_SHARES = (0.05, 0.5)


def _killed_after(seconds: float, project: Path) -> bool:
    """Starts the run and kills it with every process of it; says whether it was still running."""
    process = subprocess.Popen(
        kedro_run(),
        cwd=project,
        env=environment_of(project, {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    running = process.poll() is None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return running


def _results(project: Path) -> dict[str, str]:
    """Returns the digests of the images and of the weights, by path below data/."""
    data = project / "data"
    found = [*data.glob("05_model_input/*/shards/*.tar"), *data.glob("06_models/encoders/*/*/*.safetensors")]
    return {
        path.relative_to(data).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found
    }


def _num_drawn(project: Path) -> int:
    """Returns how many images the ledger counts, each once however often a run was killed."""
    ledger = json.loads((project / "data/05_model_input/synthetic.ledger.json").read_text())
    return sum(totals["num_made_images"] for totals in ledger["totals"].values())


def _leftovers(project: Path) -> list[str]:
    kept = {".gitkeep", ".run.lock"}
    return [
        path.relative_to(project).as_posix()
        for room in sorted((project / "data").glob("0[1345678]_*"))
        for path in room.rglob("*")
        if (path.name.startswith(".") and path.name not in kept) or path.name.endswith(".partial")
    ]


@pytest.mark.parametrize("seed", range(8))
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(
    seed: int, finished: Path, seconds_of_run: float, project: Path, record_property
):
    record_property("cases", f"kills ({_KILLS} each)")
    record_property("outcome", "lost")
    moments = random.Random(seed)
    # the copy is a finished project: what the run makes is removed, as `make clean` does
    subprocess.run(["make", "clean"], cwd=project, check=True, capture_output=True)
    subprocess.run(["rm", "-rf", "data/02_intermediate"], cwd=project, check=True)
    shares = [moments.uniform(*_SHARES) for _ in range(_KILLS)]
    killed = sum(_killed_after(share * seconds_of_run, project) for share in shares)
    record_property("kills", killed)
    assert killed, "no kill met a run"
    ended = subprocess.run(
        kedro_run(), cwd=project, env=environment_of(project, {}), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert _results(project) == _results(finished)
    assert not _leftovers(project)
    assert _num_drawn(project) == _num_drawn(finished)
    record_property("outcome", "survived")
