"""Composes the experiment that `dvc repro` runs: writes conf/dvc_params.txt, params.yaml and dvc.yaml.

    python -m pipelines.dvc.compose "experiment=smoke,generator.guidance_scale=2"   # another experiment
    python -m pipelines.dvc.compose          # the same one, after conf/, a pipeline or the catalog changed
    python -m pipelines.dvc.compose ""       # the default one
    python -m pipelines.dvc.compose --check  # exit code 1 where the files are not up to date

DVC loads dvc.yaml before it runs the first stage, so that no stage can add another one. The first stage
(`--params-stage`) therefore stops where conf/ changed the stages, and says what to do.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from pipelines.dvc.datasets import Datasets
from pipelines.dvc.sources import Sources
from pipelines.dvc.stages import CHOSEN_FILE, PARAMS_FILE, dvc_yaml
from stablerep.errors import ConfigError, StableRepError
from stablerep.storage.whole_files import written_whole

PROJECT = Path(__file__).parents[2]
_STAGES_FILE = "dvc.yaml"
_HEADER = """\
# Written by `python -m pipelines.dvc.compose` from the Kedro pipelines, the catalog and conf/: edit those.
# `make compose PARAMS="experiment=smoke"` makes another experiment the one that `dvc repro` runs.
"""


def composed(params: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what belongs to an experiment.

    Args:
        params: as `kedro run --params` takes it.

    Returns:
        The composed parameters and the content of dvc.yaml.

    Raises:
        ConfigError: the configuration cannot be composed, or its stages do not fit together.
    """
    from kedro.framework.project import pipelines
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    from pipelines.config.params_option import parse_params

    bootstrap_project(PROJECT)
    # as `kedro run` does it: with a session's context the pipelines of these parameters are registered
    with KedroSession.create(PROJECT, runtime_params=parse_params(params)) as session:
        parameters = session.load_context().config_loader["parameters"]
    entries = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
    return parameters, dvc_yaml(dict(pipelines), Datasets(entries), parameters, Sources(PROJECT))


def write_all(folder: Path, params: str) -> None:
    """Composes an experiment and writes the three files; nothing is written where composing fails."""
    parameters, stages = composed(params)
    _write(folder / CHOSEN_FILE, f"{params}\n")
    _write(folder / PARAMS_FILE, parameters_text(parameters))
    _write(folder / _STAGES_FILE, stages_text(stages))


def run_params_stage(folder: Path) -> None:
    """Writes params.yaml for the chosen experiment.

    Raises:
        ConfigError: the stages differ from those in dvc.yaml, which DVC has already loaded.
    """
    parameters, stages = composed(chosen(folder))
    if stages_text(stages) != _read(folder / _STAGES_FILE):
        raise ConfigError(
            f"{_STAGES_FILE} is out of date: {_difference(folder, stages)}. DVC has already loaded it and "
            "cannot change its stages in this run. Run `make compose`, then `dvc repro` again."
        )
    _write(folder / PARAMS_FILE, parameters_text(parameters))


def outdated(folder: Path) -> list[str]:
    """Returns the files that differ from what `write_all` would write for the chosen experiment."""
    parameters, stages = composed(chosen(folder))
    expected = {PARAMS_FILE: parameters_text(parameters), _STAGES_FILE: stages_text(stages)}
    return [name for name, text in expected.items() if _read(folder / name) != text]


def chosen(folder: Path) -> str:
    """Returns the --params of the experiment that DVC runs; empty for the default experiment."""
    path = folder / CHOSEN_FILE
    if not path.is_file():
        raise ConfigError(
            f"{CHOSEN_FILE}: missing; it must have the --params of DVC's experiment, or be empty. "
            'Write it with `python -m pipelines.dvc.compose ""`.'
        )
    return path.read_text(encoding="utf-8").strip()


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """Returns the content of params.yaml."""
    from pipelines.config.loader import write_parameters

    with TemporaryDirectory() as folder:
        path = Path(folder, PARAMS_FILE)
        write_parameters(path, parameters)
        return path.read_text(encoding="utf-8")


def stages_text(stages: Mapping[str, Any]) -> str:
    """Returns the content of dvc.yaml as text."""
    return _HEADER + yaml.safe_dump(dict(stages), sort_keys=False, width=120)


def _difference(folder: Path, stages: Mapping[str, Any]) -> str:
    """Says which stages the configuration adds, removes or changes."""
    before = (yaml.safe_load(_read(folder / _STAGES_FILE)) or {}).get("stages", {})
    after = stages["stages"]
    changes = {
        "new": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "changed": [name for name in after if name in before and before[name] != after[name]],
    }
    parts = [f"{kind} stages: {', '.join(names)}" for kind, names in changes.items() if names]
    return "; ".join(parts) or "the order or the comments of its stages changed"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _write(path: Path, text: str) -> None:
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks the files; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.dvc.compose")
    parser.add_argument(
        "params", nargs="?", help="as of `kedro run --params`; left out: those of the last time"
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="exit code 1 where a file is out of date")
    choice.add_argument("--params-stage", action="store_true", help="what DVC's stage `params` runs")
    options = parser.parse_args(arguments)
    if options.params is not None and (options.check or options.params_stage):
        parser.error("params can be given only where the files are written")
    try:
        if options.params_stage:
            run_params_stage(PROJECT)
        elif options.check:
            return _report(outdated(PROJECT))
        else:
            write_all(PROJECT, chosen(PROJECT) if options.params is None else options.params.strip())
    except StableRepError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _report(files: list[str]) -> int:
    for name in files:
        print(
            f"{name} is out of date: conf/, the pipelines, the catalog or imports changed. "
            "Run `make compose` and commit it.",
            file=sys.stderr,
        )
    return 1 if files else 0


if __name__ == "__main__":
    sys.exit(main())
