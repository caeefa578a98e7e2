"""Kedro plugin: what a command of the project says when it is typed outside of a project.

Kedro knows a project's commands inside of it only; elsewhere its answer is a usage error. This module stands
beside the package and not in it, for the library knows nothing of Kedro.
"""

import sys
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.hooks import cli_hook_impl

_PROJECT_COMMANDS = ("run", "registry", "catalog", "viz", "ipython", "jupyter", "package", "pipeline")


class OutsideProject:
    """Ends a project's command that is typed elsewhere with one message and exit code 1."""

    @cli_hook_impl
    def before_command_run(self, project_metadata: Any, command_args: list[str]) -> None:
        """Looks at the command before Kedro does."""
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


hooks = OutsideProject()
