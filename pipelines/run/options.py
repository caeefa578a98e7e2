"""The options of `kedro run`: Kedro's own, some of which this project parses itself."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from omegaconf import OmegaConf

from pipelines.config.params_option import parse_params
from pipelines.config.yaml_files import read_yaml_file
from stablerep.errors import ConfigError, check_range, shortened
from stablerep.nearest_name import must_be_one_of

_RUNNERS = ("ParallelRunner", "SequentialRunner", "ThreadRunner")
_MAY_BE_EMPTY = ("params", "runner_params")  # no value is changed, as it says
_PARAMS_HELP = (
    "Choices and values of this run, separated by commas: "
    "generator=sdxl_turbo,generator.guidance_scale=0. A list is written in brackets, method=[simclr,clip], a "
    "mapping in braces with a space after each colon, arms.mine={method: simclr, images: real}."
)


def read_options(reporting: Callable[[], AbstractContextManager[None]]) -> list[click.Parameter]:
    """Returns Kedro's options of `run`, five of which are read by this project.

    Args:
        reporting: makes a block in which a ConfigError is reported as the command does.
    """
    reads: dict[str, Callable[[click.Context, Any], Any]] = {
        "params": lambda _, value: _items("--params", value),
        "runner_params": lambda _, value: _items("--runner-params", value),
        "load_versions": lambda _, value: _versions(value),
        "conf_source": lambda _, value: _folder(value),
        "config": _read_file,
    }

    def own(option: click.Parameter, read: Callable[[click.Context, Any], Any]) -> click.Option:
        def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
            with reporting():
                return read(context, value)

        text = _PARAMS_HELP if option.name == "params" else getattr(option, "help", "")
        # eager: what a file of options says must be known before the others are read
        is_file = option.name == "config"
        return click.Option(
            [*option.opts, str(option.name)],
            type=click.UNPROCESSED,
            default=None if is_file or option.name == "conf_source" else "",
            help=text,
            callback=callback,
            is_eager=is_file,
        )

    return [
        own(option, reads[str(option.name)]) if option.name in reads else option
        for option in kedro_run.params
    ]


def _items(option: str, value: Any) -> dict[str, Any]:
    # a mapping comes from `--config file`, already parsed
    return dict(value) if isinstance(value, Mapping) else parse_params(value, option)


def _versions(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        return {str(name): str(version) for name, version in value.items()}
    versions = {}
    for item in (each.strip() for each in value.split(",")) if value else ():
        name, colon, version = item.partition(":")
        if not (name and colon and version) or "/" in version or "\\" in version or version in (".", ".."):
            raise ConfigError(f"--load-versions: got {item!r}; must be dataset:version, separated by commas.")
        versions[name] = version
    return versions


def _folder(value: str | None) -> str | None:
    if not value:
        return value
    path = Path(value).expanduser()
    if not (path / "params" / "config.yaml").is_file():
        raise ConfigError(
            f"--conf-source: got {value!r}, which has no params/config.yaml; must be a folder like conf/."
        )
    return str(path.resolve())


def _read_file(context: click.Context, value: str | None) -> str | None:
    """Takes the options that a file gives for those that were not typed."""
    if not value:
        return value
    content = OmegaConf.to_container(read_yaml_file(Path(value).expanduser()))
    section = content.get("run") if isinstance(content, dict) else None
    if not isinstance(section, dict):
        raise ConfigError(
            f"--config: {value}: must have the key `run`, a mapping of options to their values."
        )
    known = {str(each.name): each for each in context.command.params if each.name not in ("config", "help")}
    for name, given in section.items():
        if name not in known:
            raise ConfigError(f"--config: {value}: run.{name}: unknown; {must_be_one_of(str(name), known)}")
        kinds: tuple[type, ...] = (str,)
        if name in ("params", "runner_params", "load_versions"):
            kinds = (str, dict)
        elif getattr(known[name], "is_flag", False):
            kinds = (bool,)
        if not isinstance(given, kinds):
            must = {str: "text, names separated by commas", dict: "a mapping", bool: "true or false"}
            told = " or ".join(must[kind] for kind in kinds)
            raise ConfigError(f"--config: {value}: run.{name}: got {shortened(given)}; must be {told}.")
    context.default_map = {**(context.default_map or {}), **section}
    return value


def refuse_empty(context: click.Context, options: Mapping[str, Any]) -> None:
    """Raises ConfigError for an option that was given nothing: Kedro takes it for one that was left out.

    Args:
        context: of the command.
        options: as they were read.
    """
    given = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP)
    for parameter in context.command.params:
        name = str(parameter.name)
        if name in _MAY_BE_EMPTY or context.get_parameter_source(name) not in given:
            continue
        if options[name] in ("", [], {}, None):
            raise ConfigError(
                f"{parameter.opts[0]}: has no value; must have one. To run without the option, leave it out."
            )


def check_runner(name: str, arguments: Mapping[str, Any]) -> None:
    """Checks a runner without starting it.

    Args:
        name: one of Kedro's, or the full name of a class.
        arguments: of `--runner-params`.

    Raises:
        ConfigError: there is no such runner, or it does not take its arguments.
    """
    from kedro.runner import AbstractRunner
    from kedro.utils import load_obj

    try:
        found = load_obj(name, "kedro.runner")
    except (AttributeError, ImportError, TypeError, ValueError):
        found = None
    if not inspect.isclass(found) or not issubclass(found, AbstractRunner) or inspect.isabstract(found):
        raise ConfigError(
            f"--runner: got {name!r}; {must_be_one_of(name, _RUNNERS)} Give a runner of your own as "
            "package.Class."
        )
    taken = inspect.signature(found).parameters
    for key, value in arguments.items():
        if key not in taken:
            raise ConfigError(f"--runner-params: {key}: unknown to {name}; {must_be_one_of(key, taken)}")
        if key == "is_async" and not isinstance(value, bool):
            raise ConfigError(f"--runner-params: is_async: got {shortened(value)}; must be true or false.")
        if key == "max_workers":
            check_range("--runner-params: max_workers", value, 1)
            if not isinstance(value, int):
                raise ConfigError(f"--runner-params: max_workers: got {value!r}; must be an integer.")
