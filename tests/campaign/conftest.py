"""A finished project that every case damages a copy of, and the table of outcomes."""

import os
import shutil
import subprocess
import time
import zlib
from collections import Counter
from pathlib import Path

import pytest
from filelock import FileLock

from tests.campaign.outcome import FAULTS, GOOD, environment_of, kedro_run

ROOT = Path(__file__).parents[2]
_SECONDS = "finished.seconds"  # a file beside the project, written last


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the share CAMPAIGN_SHARE of the cases, always the same ones, and one run that is killed."""
    share = float(os.environ.get("CAMPAIGN_SHARE", "1"))
    items[:] = [item for item in items if "campaign" not in item.keywords or _is_kept(item.nodeid, share)]


def _is_kept(name: str, share: float) -> bool:
    is_one_of_a_kind = "test_kills.py" in name and name.endswith("[0]") or name.endswith("names_of_their_own")
    return is_one_of_a_kind or zlib.crc32(name.encode()) % 1000 < 1000 * share


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a finished smoke run, made once for all worker processes."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    target = shared / "finished"
    with FileLock(shared / "finished.lock"):
        if not (shared / _SECONDS).exists():
            seconds = _make(target)
            (shared / _SECONDS).write_text(str(seconds))
    return target


@pytest.fixture(scope="session")
def seconds_of_run(finished: Path) -> float:
    """What the run took that made the finished project."""
    return float((finished.parent / _SECONDS).read_text())


def _make(target: Path) -> float:
    names = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(names, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    started = time.monotonic()
    made = subprocess.run(
        kedro_run(), cwd=target, env=environment_of(target, {}), capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr[-4000:]
    return time.monotonic() - started


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished project, for one case."""
    target = tmp_path / "project"
    subprocess.run(["cp", "-a", "--reflink=auto", str(finished), str(target)], check=True)
    return target


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what was tried and how it ended, by list of cases."""
    tried: dict[str, Counter[str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            of_case = dict(getattr(report, "user_properties", ()))
            if "outcome" in of_case and report.when == "call":
                tried.setdefault(of_case["cases"], Counter())[of_case["outcome"]] += 1
    if not tried:
        return
    words = (*GOOD, *FAULTS, "other")
    terminalreporter.section("campaign")
    terminalreporter.write_line("| cases | tried | " + " | ".join(words) + " |")
    terminalreporter.write_line("|---" * (len(words) + 2) + "|")
    for cases, counted in (*sorted(tried.items()), ("all", sum(tried.values(), Counter()))):
        known = [counted[word] for word in words[:-1]]
        row = [cases, counted.total(), *known, counted.total() - sum(known)]
        terminalreporter.write_line("| " + " | ".join(map(str, row)) + " |")
