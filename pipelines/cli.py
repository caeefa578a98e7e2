"""The project's command line: Kedro's `run`, one at a time, with faults told in one message.

Kedro finds this module by its name and puts its commands before its own.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
from kedro import KedroDeprecationWarning
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import KedroCliError

from pipelines.run.causes import causes, first_cause
from pipelines.run.disk_faults import disk_fault
from pipelines.run.makers import fault_of_a_file, is_wrong_output, missing_file
from pipelines.run.options import check_runner, read_options, refuse_empty
from pipelines.run.signals import EXIT_CODE
from stablerep.errors import ConfigError, StableRepError, StoppedError

PROJECT = Path(__file__).parents[1]
_DATA = "data"
# how Kedro begins to say that the options have no node in common
_NO_NODES = "Pipeline contains no nodes"
# the last line of a traceback
_OUR_FAULT = (
    "This is a bug in the project, not in your input. Please report it with the command and all lines "
    "above; CONTRIBUTING.md says where."
)


@contextmanager
def in_one_message() -> Iterator[None]:
    """Ends the process with exit code 1 and one message when the user can fix the fault.

    Anything else is a fault of ours: it keeps its traceback, with a line that says where to report it. A run
    that was told to stop is no fault: its code is that of a signal, so that a scheduler tells the two apart.
    """
    try:
        yield
    except Exception as error:
        known = None if is_wrong_output(error) else _users_fault(error)
        if known is None:
            error.add_note(_OUR_FAULT)
            raise
        notes = "".join(f"\n{note}" for link in causes(error) for note in getattr(link, "__notes__", ()))
        click.secho(f"\n{type(known).__name__}: {known}{notes}", fg="red", err=True)
        sys.exit(EXIT_CODE if isinstance(known, StoppedError) else 1)


def _users_fault(error: BaseException) -> StableRepError | None:
    return (
        fault_of_a_file(error)
        or first_cause(error, StableRepError)
        or _fault_in_kedros_words(error)
        or disk_fault(error, PROJECT)
    )


def _fault_in_kedros_words(error: BaseException) -> StableRepError | None:
    """Returns a message for what Kedro itself refuses, and for a missing file."""
    from kedro.validation.exceptions import ValidationConfigurationError

    for link in causes(error):
        if isinstance(link, ValueError) and str(link).startswith(_NO_NODES):
            return ConfigError(
                "the options that choose nodes (--pipelines, --namespaces, --nodes, --tags, --from-..., "
                "--to-...) have no node in common; must have at least one. Leave one of them out."
            )
        if isinstance(link, ValidationConfigurationError):
            return ConfigError(f"catalog: {link} Correct the entry in conf/base/catalog.yml.")
        if isinstance(link, KedroCliError):
            return ConfigError(f"{link.message}.")
        if isinstance(link, FileNotFoundError):
            return missing_file(str(link.filename or link))
    return None


def _end_tracking() -> None:
    """Ends the MLflow runs that an interrupt left open; imports nothing where none was started."""
    tracking = sys.modules.get("pipelines.tracking.run")
    if tracking is not None:
        tracking.end_open_runs("KILLED")


def _say_stopped() -> None:
    click.secho(
        "\nStopped by a signal. Run the same command again: images that are made are kept, and an arm "
        "continues from its last checkpoint.",
        fg="red",
        err=True,
    )


def run(**options: Any) -> Any:
    """Runs pipelines; see `kedro run --help`."""
    from pipelines.run.current import CURRENT
    from pipelines.run.launcher import check_launched, is_follower
    from pipelines.run.lock import hold_data_folder
    from pipelines.run.signals import Terminated, raising_on_termination

    with in_one_message():
        context = click.get_current_context(silent=True)
        if context is not None:
            refuse_empty(context, options)
        check_launched(options["namespaces"])
        options["runner"] = options["runner"] or "SequentialRunner"
        check_runner(options["runner"], options["runner_params"])
        # a launcher's first process holds it for all
        held = nullcontext() if is_follower() else hold_data_folder(PROJECT / _DATA)
        # relative paths in the configuration are the project's, wherever in it the command was typed
        with held, chdir(PROJECT), warnings.catch_warnings():
            warnings.simplefilter("ignore", KedroDeprecationWarning)
            try:
                CURRENT.options = options
                with raising_on_termination():
                    return kedro_run.callback(**options)
            except KeyboardInterrupt:
                _end_tracking()
                _say_stopped()
                raise
            except Terminated:
                _end_tracking()
                _say_stopped()
                sys.exit(EXIT_CODE)
            finally:
                CURRENT.options = {}


# Kedro's own name: it merges groups of one name, so that `kedro --help` has one `run`
@click.group(name="kedro")
def cli() -> None:
    """Commands of this project."""


_PARAMETERS = read_options(in_one_message)
cli.add_command(click.Command("run", params=_PARAMETERS, callback=run, help="Run pipelines of this project."))
