"""Kedro's parameters, composed by Hydra from conf/params; catalog and logging stay Kedro's."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipelines.config.defaults_lists import circle_in
from pipelines.config.given import Given
from pipelines.config.possible_arms import without_impossible_arms
from pipelines.config.schema import Parameters
from pipelines.config.yaml_files import (
    naming_the_faulty_file,
    place_of_key,
    read_yaml_file,
    told_of_interpolation,
)
from stablerep.errors import ConfigError, shortened
from stablerep.nearest_name import must_be_one_of
from stablerep.storage.whole_files import written_whole

PARAMS_FOLDER = "params"
_NO_ENVIRONMENTS = (PARAMS_FOLDER, "words")
_EXPERIMENT = "experiment="
_TWICE = "Duplicate keys found in"  # how Kedro begins to say that two files have one entry
_HEADER = "# Composed from conf/params/: edit that instead, then run `make compose`.\n"


class HydraConfigLoader(OmegaConfigLoader):
    """Kedro's loader, with `parameters` composed from Hydra's groups and checked against the settings."""

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Returns a section of the configuration; `parameters` is composed once and kept.

        Raises:
            ConfigError: a file of the section is at fault, or there is no such environment.
        """
        if key == "parameters" and key not in self:
            self._refuse_parameter_files()
            folder = Path(self.conf_source) / PARAMS_FOLDER
            self[key] = compose(folder, self.runtime_params or {})
        self._check_environment()
        try:
            with naming_the_faulty_file(self._files_of(key)):
                return super().__getitem__(key)
        except OmegaConfBaseException as error:
            place = place_of_key(str(error.full_key or ""), self._files_of(key))
            raise ConfigError(f"{place or key}: {told_of_interpolation(error)}") from error
        except ValueError as error:
            if not str(error).startswith(_TWICE):
                raise
            raise ConfigError(f"{error}; must be in one of them. Remove it from the other.") from error

    def _check_environment(self) -> None:
        name = self.env or self.default_run_env
        if Path(self.conf_source, name).is_dir():
            return
        folders = [path.name for path in Path(self.conf_source).iterdir() if path.is_dir()]
        known = [each for each in folders if each not in _NO_ENVIRONMENTS]
        raise ConfigError(
            f"--env or KEDRO_ENV: got {name!r}; {must_be_one_of(name, known)} They are the folders of "
            f"{self.conf_source}; an empty folder will do."
        )

    def _files_of(self, key: str) -> Iterator[Path]:
        """Yields the files that Kedro reads for a section."""
        for environment in dict.fromkeys((self.base_env, self.env or self.default_run_env)):
            for pattern in self.config_patterns.get(key, ()):
                for path in sorted(Path(self.conf_source, environment).glob(pattern)):
                    if path.suffix in (".yml", ".yaml", ".json") and path.is_file():
                        yield path

    def _refuse_parameter_files(self) -> None:
        # Kedro's own place for parameters; nothing reads it here, and silence would be a trap
        for env in (self.base_env, self.env or self.default_run_env):
            found = sorted(Path(self.conf_source, env).glob("**/parameters*"))
            if found:
                raise ConfigError(
                    f"{found[0]}: parameters files are not read; must stand in conf/params/. "
                    "Move its values to a file of a group there."
                )


def compose(folder: Path, runtime: Mapping[str, Any]) -> dict[str, Any]:
    """Composes the parameters.

    Args:
        folder: holds config.yaml and one folder per group.
        runtime: what `kedro run --params` gave, by dotted key or nested: choices of groups and values.

    Returns:
        Plain mappings, lists and scalars, every field of `Parameters` filled in;
        `Parameters.read` makes objects of them. Arms with `if_possible` that cannot be trained are left out.

    Raises:
        ConfigError: unknown group, option or key, wrong type, out of range, or values that do not fit.
        DataError: an arm has `if_possible`, and the corpus cannot be read.
    """
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{folder}/config.yaml: missing; must hold Hydra's defaults list.")
    with naming_the_faulty_file(folder.rglob("*.yaml")):
        return _composed(folder, Given(folder, runtime))


def _composed(folder: Path, given: Given) -> dict[str, Any]:
    # files may add two numbers: ${plus:${a},${b}}
    OmegaConf.register_new_resolver("plus", lambda one, other: one + other, replace=True)
    config = _compose_chosen(folder, given.overrides())
    try:
        given.set_values(config)
        _check_unresolved(OmegaConf.to_container(config))
        values = _with_homes(OmegaConf.to_container(config, resolve=True))
    except OmegaConfBaseException as error:
        raise ConfigError(told_of_interpolation(error)) from error
    plain: dict[str, Any] = _with_lists(Parameters.read(values, "").model_dump())
    return without_impossible_arms(plain)


def _check_unresolved(values: Any) -> None:
    """Raises ConfigError for what must be given, and for seeds without a first one.

    Interpolations refer to both, and would fail with a message about themselves.
    """
    missing = next(_missing_keys("", values), None)
    if missing:
        raise ConfigError(
            f"{missing}: missing; must be given. Add --params {missing}=... or set it in conf/params/."
        )
    seeds = values.get("seeds")
    if not isinstance(seeds, list) or not seeds:
        raise ConfigError(
            f"seeds: got {shortened(seeds)}; must be a list of one seed or more, such as [0]. "
            "Set it in conf/params/experiment/<name>.yaml."
        )


def _missing_keys(key: str, value: Any) -> Iterator[str]:
    if value == MISSING:
        yield key
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _missing_keys(f"{key}.{name}" if key else str(name), each)


def _with_homes(value: Any) -> Any:
    """Returns values with the home folder for a leading `~/` (no shell does in `path=~/x`)."""
    if isinstance(value, dict):
        return {key: _with_homes(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_homes(each) for each in value]
    return str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~/") else value


def _with_lists(value: Any) -> Any:
    """Returns values as YAML has them, without tuples."""
    if isinstance(value, dict):
        return {key: _with_lists(each) for key, each in value.items()}
    return [_with_lists(each) for each in value] if isinstance(value, list | tuple) else value


def _compose_chosen(folder: Path, overrides: list[str]) -> DictConfig:
    """Composes the groups, and follows what the experiments' files say about each other.

    `on_top_of` names the experiment that comes first if this one is chosen alone; `with_generator` the one
    that replaces the first if a generator is chosen; `replacing_arms` replaces all arms of the experiments
    before.
    """
    config = _compose_groups(folder, overrides)
    chosen = _experiments_in(overrides)
    below, with_images = config.pop("on_top_of", None), config.pop("with_generator", None)
    if below and len(chosen) == 1:
        chosen = [below, *chosen]
    elif with_images and any(each.startswith("generator=") for each in overrides):
        chosen = [with_images, *chosen[1:]]
    else:
        return _with_replaced_arms(config)
    others = [each for each in overrides if not each.startswith(_EXPERIMENT)]
    return _compose_chosen(folder, [*others, f"{_EXPERIMENT}[{','.join(chosen)}]"])


def _experiments_in(overrides: list[str]) -> list[str]:
    """Returns the experiments that are chosen; none where config.yaml's are."""
    found = [each.removeprefix(_EXPERIMENT) for each in overrides if each.startswith(_EXPERIMENT)]
    return found[-1].strip("[]").split(",") if found else []


def _with_replaced_arms(config: DictConfig) -> DictConfig:
    arms = config.pop("replacing_arms", None)
    if arms is not None:
        config["arms"] = arms
    return config


def _compose_groups(folder: Path, overrides: list[str]) -> DictConfig:
    # imported here: they take a third of a second, and `kedro registry list` needs none of them.
    # ConfigLoaderImpl, because hydra.initialize keeps global state; internal, so hydra is pinned exactly.
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path
    from hydra.errors import HydraException
    from hydra.types import RunMode

    loader = ConfigLoaderImpl(create_config_search_path(str(folder)))
    try:
        config = loader.load_configuration("config", overrides, RunMode.RUN, from_shell=False)
    except (HydraException, RecursionError) as error:
        for path in folder.rglob("*.yaml"):
            read_yaml_file(path)
        raise _misfit(folder, error) from error
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    return config


def _misfit(folder: Path, error: Exception) -> ConfigError:
    if isinstance(error, RecursionError):
        circle = " and ".join(circle_in(folder))
        return ConfigError(
            f"{folder}: the defaults list of {circle} leads back to the same file. Remove the entry there."
        )
    # what follows the first lines is Hydra's search path
    told = str(error).partition("Config search path")[0].strip()
    cause = f" ({error.__cause__})" if error.__cause__ else ""
    return ConfigError(f"{folder}: the defaults lists do not fit the files: {told}{cause}")


def write_parameters(path: Path, parameters: Mapping[str, Any]) -> None:
    """Writes them as YAML, whole or not at all."""
    text = _HEADER + OmegaConf.to_yaml(OmegaConf.create(dict(parameters)))
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")
