"""Kedro plugin: what a command of the project says when it is typed below the project's folder, or outside.

Kedro knows a project's commands inside of it only; elsewhere its answer is a usage error. It looks for the
logging configuration in the current folder alone. This module stands beside the package and not in it, for
the library knows nothing of Kedro.
"""

import os
import sys
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.hooks import cli_hook_impl

_PROJECT_COMMANDS = ("run", "registry", "catalog", "viz", "ipython", "jupyter", "package", "pipeline")


class WhereItIsTyped:
    """Gives a command the project's logging, or ends it with one message and exit code 1 outside of one."""

    @cli_hook_impl
    def before_command_run(self, project_metadata: Any, command_args: list[str]) -> None:
        """Looks at the command before Kedro does."""
        if project_metadata is not None:
            _log_as_the_project_says(Path(project_metadata.project_path))
        if project_metadata is not None or not command_args or command_args[0] not in _PROJECT_COMMANDS:
            return
        click.secho(
            f"ConfigError: kedro {command_args[0]}: got the folder {Path.cwd()}, in no project; must be "
            "typed in the project's folder, the one with its pyproject.toml and dvc.yaml, or below it. "
            "Change to it first.",
            fg="red",
            err=True,
        )
        sys.exit(1)


def _log_as_the_project_says(project: Path) -> None:
    settings = project / "conf" / "logging.yml"
    if "KEDRO_LOGGING_CONFIG" in os.environ or Path.cwd() == project or not settings.is_file():
        return
    import yaml
    from kedro.framework.project import LOGGING

    # Kedro has read its own by now; processes that are started find the variable
    os.environ["KEDRO_LOGGING_CONFIG"] = str(settings)
    LOGGING.configure(yaml.safe_load(settings.read_text(encoding="utf-8")))


hooks = WhereItIsTyped()
