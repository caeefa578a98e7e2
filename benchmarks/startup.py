"""How long commands take before and after their work, as a ratio to importing Kedro's own command line.

    python -m benchmarks.startup

Each command is a process of its own and they alternate, so that a busy machine slows all of them alike.
The tracked run lists the images of the smoke experiment's evaluation set: a few tenths of a second.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).parents[1]
_BIN = Path(sys.executable).parent
_KEDRO_ALONE = [sys.executable, "-c", "import kedro.framework.cli"]
COMMANDS = {
    "import kedro.framework.cli": _KEDRO_ALONE,
    "kedro --help": [str(_BIN / "kedro"), "--help"],
    "kedro registry list": [str(_BIN / "kedro"), "registry", "list"],
    "kedro run, tracked": [
        *[str(_BIN / "kedro"), "run", "--namespaces", "evaluation_sets.scenes"],
        *["--params", "experiment=smoke"],
    ],
}


def seconds_of(command: list[str]) -> float:
    """Runs a command in the project and returns how long it took."""
    environment = os.environ | {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    started = time.perf_counter()
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Prints the table and, as its last line, the tracked run's ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument(
        "--repeats", type=int, default=5, help="of each command, after one that is not counted"
    )
    options = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for repeat in range(options.repeats + 1):
        for name, command in COMMANDS.items():
            seconds = seconds_of(command)
            if repeat:
                times[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = medians["import kedro.framework.cli"]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; seconds")
    print(f"{'command':28}{'min':>8}{'median':>8}{'max':>8}{'ratio':>8}")
    for name, values in times.items():
        row = "".join(f"{value:8.2f}" for value in (min(values), medians[name], max(values)))
        print(f"{name:28}{row}{medians[name] / base:8.2f}")
    print(f"tracked run over importing Kedro's command line = {medians['kedro run, tracked'] / base:.2f}")


if __name__ == "__main__":
    main()
