"""Kedro's parameters, composed by Hydra from conf/params; catalog and logging stay Kedro's.

Also the first DVC stage: `python -m pipelines.config.loader params.yaml` writes what was composed.
"""

import argparse
import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipelines.config.schema import Parameters
from pipelines.config.typed import field_names, nearest, typed, unknown_key
from stablerep.errors import ConfigError, StableRepError
from stablerep.storage.whole_files import written_whole

PARAMS_FOLDER = "params"
# Which top-level key a group's values stand under; experiment writes several.
GROUP_KEYS = {
    "corpus": "scenes",
    "curation": "captions",
    "validation": "gates",
    "generator": "generation",
    "encoder": "model",
    "method": "methods",
    "training": "batch or optimisation",
    "evaluation": "probe",
    "tuning": "study",
    "alignment": "scoring",
    "scorer": "scorer_recipe",
    "pretraining": "pretraining_recipe",
    "executor": "execution",
    "experiment": "arms, experiment_name or seed",
}
_HEADER = "# Written by `python -m pipelines.config.loader`; edit conf/params/ instead.\n"


class HydraConfigLoader(OmegaConfigLoader):
    """Kedro's loader, with `parameters` composed from Hydra's groups and checked against the schema."""

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Returns a section of the configuration; `parameters` is composed once and kept."""
        if key == "parameters" and key not in self:
            self._refuse_parameter_files()
            folder = Path(self.conf_source) / PARAMS_FOLDER
            self[key] = compose(folder, self.runtime_params or {})
        return super().__getitem__(key)

    def _refuse_parameter_files(self) -> None:
        # Kedro's own place for parameters; read by nobody here, and silence would be a trap
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
        folder: holds config.yaml and one folder a group.
        runtime: what `kedro run --params` gave, nested: group choices and values of keys.

    Returns:
        Plain mappings, lists and scalars, every field of the schema filled in.

    Raises:
        ConfigError: unknown group, option or key, wrong type, out of range, or values that do not fit.
    """
    choices = {name: value for name, value in runtime.items() if name in GROUP_KEYS}
    values = {name: value for name, value in runtime.items() if name not in GROUP_KEYS}
    # files may add two numbers: ${plus:${a},${b}}
    OmegaConf.register_new_resolver("plus", lambda one, other: one + other, replace=True)
    config = _compose_groups(folder, choices)
    _check_known("", values, OmegaConf.to_container(config), Parameters)
    try:
        merged = OmegaConf.merge(config, OmegaConf.create(values))
        missing = sorted(OmegaConf.missing_keys(merged))
        if missing:
            raise ConfigError(
                f"{missing[0]}: missing; must be given. "
                f"Add --params {missing[0]}=... or set it in conf/params/."
            )
        plain = OmegaConf.to_container(merged, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"parameters: {str(error).splitlines()[0]}") from error
    return dataclasses.asdict(typed(Parameters, plain))


def _compose_groups(folder: Path, choices: Mapping[str, Any]) -> DictConfig:
    # imported here: they take a third of a second, and `kedro registry list` needs none of them.
    # ConfigLoaderImpl, because hydra.initialize keeps global state; internal, so hydra is pinned exactly.
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path
    from hydra.errors import HydraException
    from hydra.types import RunMode

    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{folder}/config.yaml: missing; must hold Hydra's defaults list.")
    overrides = [_override(folder, group, choice) for group, choice in choices.items()]
    loader = ConfigLoaderImpl(create_config_search_path(str(folder)))
    try:
        config = loader.load_configuration("config", overrides, RunMode.RUN, from_shell=False)
    except HydraException as error:
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        raise ConfigError(f"{folder}: Hydra cannot compose it: {error}{cause}") from error
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    return config


def _override(folder: Path, group: str, choice: Any) -> str:
    if isinstance(choice, Mapping):
        raise ConfigError(
            f"{group}: got values of {', '.join(map(str, choice))}; must be the name of a file in "
            f"conf/params/{group}/. The group's values stand under {GROUP_KEYS[group]}: "
            f"write {GROUP_KEYS[group].split(',')[0]}.{next(map(str, choice), '<key>')}=..."
        )
    options = [path.stem for path in (folder / group).glob("*.yaml")]
    names = choice if isinstance(choice, list) else [choice]
    for name in names:
        if name not in options:
            raise ConfigError(f"{group}: got {name!r}; {nearest(str(name), options)}")
    if isinstance(choice, list) and group != "method":
        raise ConfigError(f"{group}: got a list; must be one name. Only `method` takes several.")
    return f"{group}=[{','.join(names)}]" if isinstance(choice, list) else f"{group}={choice}"


def _check_known(prefix: str, given: Mapping[str, Any], present: Any, kind: Any) -> None:
    """Raises ConfigError for a given key that is neither in the composed files nor in the schema."""
    here = present if isinstance(present, Mapping) else {}
    known = {str(name) for name in here} | set(field_names(kind))
    hints = getattr(kind, "__annotations__", {})
    for name, value in given.items():
        if name not in known:
            groups = [] if prefix else list(GROUP_KEYS)
            raise unknown_key(prefix, str(name), [*known, *groups])
        full = f"{prefix}.{name}" if prefix else str(name)
        inner = here.get(name)
        if isinstance(inner, Mapping):
            if not isinstance(value, Mapping):
                keys = ", ".join(f"{full}.{key}" for key in inner)
                raise ConfigError(f"{full}: got {value!r}; must be set key by key: {keys}.")
            _check_known(full, value, inner, hints.get(name))


def write_parameters(path: Path, parameters: Mapping[str, Any]) -> None:
    """Writes them as YAML, whole or not at all."""
    text = _HEADER + OmegaConf.to_yaml(OmegaConf.create(dict(parameters)))
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Composes and writes params.yaml; returns the exit code."""
    from pipelines.config.params_option import parse_params

    parser = argparse.ArgumentParser(prog="python -m pipelines.config.loader", description=__doc__)
    parser.add_argument("output", type=Path, help="the file to write, params.yaml")
    parser.add_argument("--params", default="", help="as of `kedro run`: experiment=smoke,seed=1")
    options = parser.parse_args(arguments)
    try:
        folder = Path(__file__).parents[2] / "conf" / PARAMS_FOLDER
        write_parameters(options.output, compose(folder, parse_params(options.params)))
    except StableRepError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
