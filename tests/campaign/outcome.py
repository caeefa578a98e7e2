"""What a command did with damage: the words of the campaign's table."""

import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign.damage import Meanwhile, Spoil

SECONDS = 600  # after which a command counts as hung; the slowest case takes 40, on a busy machine 200
CLEAR, SURVIVED = "clear", "survived"
# a clear message and a run that rightly goes on are good; the other four are faults
GOOD = (CLEAR, SURVIVED)
FAULTS = ("traceback", "silent", "hung", "lost")
_SMOKE = ("--params", "experiment=smoke")
# before a command: root, too, may not write where modes forbid it, as in containers and CI
_OVERRIDING = "-dac_override,-dac_read_search"
OBEYING_MODES = ("setpriv", f"--bounding-set={_OVERRIDING}") if os.geteuid() == 0 else ()
# below data/, what a run of curation and validation writes
OF_CURATION = ("03_primary/", "08_reporting/")


@dataclass(frozen=True)
class Case:
    """One damage to a finished project, a command, and what has to follow.

    `says` is found in the message, or in the warning of a run that goes on, whatever its case; it is what the
    user got wrong: a file, a key, a name.
    `meanwhile` lasts as long as the command, such as a lock that another program holds.
    `rewrites` are the paths below data/ that the command may change; `restores` those of files that the
    command has to make again as they were before the damage.
    """

    name: str
    command: tuple[str, ...]
    says: str = ""
    spoil: Spoil = lambda project: None
    expected: str = CLEAR
    environment: Mapping[str, str] = field(default_factory=dict)
    rewrites: tuple[str, ...] = ()
    restores: tuple[str, ...] = ()
    meanwhile: Meanwhile = nullcontext


def kedro_run(*options: str) -> tuple[str, ...]:
    """Returns a run of the smoke experiment with further options; an option --params replaces its own."""
    return ("kedro", "run", *(() if "--params" in options else _SMOKE), *options)


def params(text: str, *options: str) -> tuple[str, ...]:
    """Returns a run of the smoke experiment with further parameters."""
    return ("kedro", "run", *options, "--params", f"experiment=smoke,{text}")


def on_full_disk(kilobytes: int, command: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the command where no file grows beyond a size, which is met as a full disk is."""
    return ("bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "bash", *command)


def outcome_of(case: Case, project: Path) -> tuple[str, str]:
    """Spoils the project, runs the command, and returns the outcome with what the command printed."""
    whole = {path: digest for path, digest in digests(project).items() if path.startswith(case.restores)}
    case.spoil(project)
    before = digests(project, case.rewrites)
    with case.meanwhile(project):
        code, printed = _run(case, project)
    if code is None:
        return "hung", printed
    if "Traceback (most recent call last)" in printed:
        return "traceback", printed
    after = digests(project)
    if any(after.get(path) != digest for path, digest in before.items()):
        return "lost", printed
    if code == 0 and case.expected == SURVIVED and case.says.lower() in _in_a_line(printed):
        restored = not case.restores or all(after.get(path) == digest for path, digest in whole.items())
        return (SURVIVED if restored else "lost"), printed
    if code == 0:
        return "silent", printed
    # one message, and in it what the user got wrong; Click's usage errors have another code
    messages = list(re.finditer(r"^(?:\w*Error|Error): ", printed, re.MULTILINE))
    told = _in_a_line(printed[messages[0].end() :]) if messages else ""
    is_one = len(messages) == 1 and code in (1, 2)
    return (CLEAR if is_one and case.says.lower() in told else f"exit code {code}"), printed


def _in_a_line(printed: str) -> str:
    return " ".join(printed.split()).lower()


def environment_of(project: Path, further: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of a user who stands in the project, its tools first on the path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return environment | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
        "PYTHONPATH": str(project / "src"),
        "DO_NOT_TRACK": "1",
        "COLUMNS": "200",
        **further,
    }


def _run(case: Case, project: Path) -> tuple[int | None, str]:
    process = subprocess.Popen(
        case.command,
        cwd=project,
        env=environment_of(project, case.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]
    return process.returncode, printed


def digests(project: Path, except_below: tuple[str, ...] = ()) -> dict[str, str]:
    """Returns the digest of every file that a user would miss, by path below data/."""
    root = project / "data"
    ignored = ("02_intermediate/", "08_reporting/stage_seconds.json", ".run.lock", *except_below)
    found = {}
    if not root.is_dir():
        return found
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not name.startswith(ignored):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
