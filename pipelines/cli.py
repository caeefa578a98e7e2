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

from pipelines.run.causes import causes, first_cause
from pipelines.run.disk_faults import disk_fault
from pipelines.run.signals import EXIT_CODE
from stablerep.errors import ConfigError, DataError, StableRepError, StoppedError

PROJECT = Path(__file__).parents[1]
_DATA = "data"
# how Kedro begins to say that --pipelines, --namespaces, --nodes or --tags name nothing in the graph
_UNKNOWN_PART = (
    "Failed to find the pipeline named",
    "Pipeline does not contain",
    "Pipeline contains no nodes",
)


@contextmanager
def in_one_message() -> Iterator[None]:
    """Ends the process with exit code 1 and one message when the user can fix the fault.

    Anything else is a fault of ours and keeps its traceback. A run that was told to stop is no fault: its
    code is that of a signal, so that a scheduler tells the two apart.
    """
    try:
        yield
    except Exception as error:
        known = (
            _wrong_table(error)
            or first_cause(error, StableRepError)
            or _fault_in_kedros_words(error)
            or disk_fault(error, PROJECT)
        )
        if known is None:
            raise
        click.secho(f"\n{type(known).__name__}: {known}", fg="red", err=True)
        sys.exit(EXIT_CODE if isinstance(known, StoppedError) else 1)


def _fault_in_kedros_words(error: BaseException) -> StableRepError | None:
    """Returns a message for a missing environment, part of the graph, or table."""
    from kedro.config import MissingConfigException

    for link in causes(error):
        if isinstance(link, MissingConfigException):
            return ConfigError(
                f"configuration: {link}. --env and KEDRO_ENV must name a folder of conf/, or be left out."
            )
        if isinstance(link, ValueError) and str(link).startswith(_UNKNOWN_PART):
            return ConfigError(
                f"{link}\n`kedro registry list` names the rooms and the items of the default run."
            )
        if isinstance(link, FileNotFoundError):
            return DataError(
                f"{link.filename or link}: missing; must be there before this pipeline runs. "
                "Run what makes it first: `kedro run` runs everything."
            )
    return None


def _wrong_table(error: BaseException) -> StableRepError | None:
    """Returns a message for a table that does not fit its pandera model: where it is, and who makes it."""
    from kedro.validation.exceptions import DataValidationError

    refusal = first_cause(error, DataValidationError)
    if refusal is None:
        return None
    name = refusal.dataset_name
    makers = _makers_of(name)
    made = f", which {' and '.join(makers)} makes" if makers else ""
    advice = f"Fix it, or have it made again: {makers[0]} runs in `kedro run`." if makers else "Fix its file."
    return DataError(f"dataset {name!r}{made}, refused on {refusal.mode}: {refusal.message}\n{advice}")


def _makers_of(dataset: str) -> list[str]:
    from kedro.framework.project import pipelines

    nodes = pipelines["__default__"].nodes if "__default__" in pipelines else []
    return [f"node {node.name!r}" for node in nodes if dataset in node.outputs]


def _check_pipelines(names: list[str]) -> None:
    from kedro.framework.project import pipelines

    from stablerep.nearest_name import must_be_one_of

    for name in names:
        # an item, such as `training.simclr.seed_0`, may come with --params, which are not composed yet
        if name.split(".")[0] not in pipelines:
            raise ConfigError(f"--pipelines: got {name!r}; {must_be_one_of(name, pipelines.keys())}")


def _split_params(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    # a mapping comes from `--config file`, already parsed
    if isinstance(value, dict):
        return value
    from pipelines.config.params_option import parse_params

    with in_one_message():
        return parse_params(value)


def _options() -> list[click.Parameter]:
    """Returns Kedro's options of `run`; --params keeps lists whole."""
    own = click.Option(
        ["--params"],
        type=click.UNPROCESSED,
        default="",
        help="Choices and values of this run, with commas between them: "
        "generator=sdxl_turbo,generator.guidance_scale=0. A list stands in brackets, method=[simclr,clip], a "
        "mapping in braces with a space after each colon, arms.mine={method: simclr, images: real}.",
        callback=_split_params,
    )
    return [own if option.name == "params" else option for option in kedro_run.params]


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
    from pipelines.run.launcher import check_launched, is_follower
    from pipelines.run.lock import hold_data_folder
    from pipelines.run.signals import Terminated, raising_on_termination

    with in_one_message():
        names = [options["pipeline"]] if options["pipeline"] else []
        _check_pipelines([*names, *options["pipelines"]])
        check_launched(options["namespaces"])
        options["runner"] = options["runner"] or "SequentialRunner"
        if options["conf_source"]:
            options["conf_source"] = str(Path(options["conf_source"]).absolute())
        # a launcher's first process holds it for all
        held = nullcontext() if is_follower() else hold_data_folder(PROJECT / _DATA)
        # relative paths in the configuration are the project's, wherever in it the command was typed
        with held, chdir(PROJECT), warnings.catch_warnings():
            warnings.simplefilter("ignore", KedroDeprecationWarning)
            try:
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


@click.group(name="stablerep")
def cli() -> None:
    """Commands of this project."""


cli.add_command(click.Command("run", params=_options(), callback=run, help="Run pipelines of this project."))
