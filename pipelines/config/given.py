"""What a run was given by `--params`: choices of groups, and values of keys that the files have.

A name of a group with the name of a file is a choice, `generator=sdxl_turbo`; everything else is a value,
`generator.guidance_scale=0`. Choices go to Hydra, values replace those of the files after the composition.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pipelines.config.schema import Parameters
from pipelines.config.yaml_files import read_yaml_file
from stablerep.errors import ConfigError, shortened
from stablerep.nearest_name import must_be_one_of

# Sections to which entries may be added, with the key that makes an entry whole.
_OPEN = {
    "method": "_target_",
    "evaluation": "_target_",
    "set_metrics": "_target_",
    "evaluation_sets": "_target_",
    "references": "model",
    "image_sets": "source",
    "arms": "method",
}
# `curation.filters[2].max_words`
_KEY = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[\d+\])*")
_MAX_DEPTH = 20  # parts of a key; the deepest that a setting has are five
# Keys of releases before 0.2.
_RENAMED = {
    "batch": "training.batch",
    "captions": "curation",
    "execution": "executor",
    "gates": "validation",
    "generation": "generator",
    "methods": "method",
    "model.encoder": "encoder.backbone",
    "model": "encoder",
    "optimisation": "training",
    "pretraining_recipe": "pretraining",
    "probe": "evaluation",
    "scenes": "evaluation_sets.scenes",
    "scorer_recipe": "scorer",
    "scoring": "alignment",
    "seed": "seeds",
    "study": "tuning",
}


class Given:
    """The choices and values of a run.

    Args:
        folder: holds config.yaml and one folder per group.
        runtime: by dotted key or nested, in the order in which they were given.

    Raises:
        ConfigError: there is no such option of a group.
    """

    def __init__(self, folder: Path, runtime: Mapping[str, Any]) -> None:
        """Sorts what was given into choices and values."""
        self.folder = folder
        self.groups = sorted(path.name for path in folder.iterdir() if path.is_dir())
        self.choices: dict[str, list[str]] = {}
        self.values: dict[str, Any] = {}
        for key, value in runtime.items():
            _check_form(key)
            if key in self.groups and not isinstance(value, Mapping):
                self.choices[key] = self._options(key, value)
            else:
                self.values[str(key)] = value

    def overrides(self) -> list[str]:
        """Returns the choices as Hydra takes them."""
        lists = self._lists()
        return [
            f"{group}=[{','.join(names)}]" if group in lists else f"{group}={names[0]}"
            for group, names in self.choices.items()
        ]

    def set_values(self, config: DictConfig) -> None:
        """Sets the values in what was composed.

        Raises:
            ConfigError: a key is unknown.
        """
        for key, value in self.values.items():
            for full, each in _leaves(key, value, config):
                self._check_known(full, each, config)
                OmegaConf.update(config, full, each, merge=False, force_add=True)

    def _options(self, group: str, value: Any) -> list[str]:
        known = [path.stem for path in (self.folder / group).glob("*.yaml")]
        names = value if isinstance(value, list) else [value]
        if isinstance(value, list) and group not in self._lists():
            several = ", ".join(f"`{name}`" for name in self._lists())
            raise ConfigError(f"{group}: got a list; must be one name. Only {several} take several.")
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"{group}: got {name!r}; {must_be_one_of(str(name), known)} They are files of "
                    f"conf/params/{group}/; values are set by {group}.<key>=..."
                )
        return [str(name) for name in names]

    def _lists(self) -> list[str]:
        """Returns the groups of which several options can be chosen at once."""
        path = self.folder / "config.yaml"
        defaults: Any = read_yaml_file(path).get("defaults", [])
        if not OmegaConf.is_list(defaults):
            raise ConfigError(f"{path}: defaults: got {defaults!r}; must be a list of groups and files.")
        entries = [each for each in defaults if OmegaConf.is_dict(each)]
        return [str(group) for each in entries for group in each if OmegaConf.is_list(each[group])]

    def _check_known(self, key: str, value: Any, config: DictConfig) -> None:
        """Raises ConfigError for a key that is neither in the composed files nor one that a section adds.

        Keys below the sections are the settings' own affair, apart from the free mappings with `_target_`.
        """
        parts = _parts(key)
        if parts[0] not in config and parts[0] not in Parameters.model_fields:
            raise _unknown_top(key, [*Parameters.model_fields, *self.groups])
        node: Any = OmegaConf.to_container(config)
        free = False
        for place, part in enumerate(parts):
            is_new_entry = place == 1 and parts[0] in _OPEN and part not in node
            if is_new_entry:
                _check_whole_entry(parts, value, node)
                return
            free = free or (isinstance(node, Mapping) and "_target_" in node)
            if free and isinstance(node, Mapping) and part not in node:
                prefix = ".".join(map(str, parts[:place]))
                raise ConfigError(
                    f"{prefix}.{part}: unknown key; {must_be_one_of(str(part), map(str, node))}"
                )
            _check_item(key, node, part)
            node = _inner(node, part)
            if node is None:
                return
        if isinstance(node, Mapping) and node and value is not None and not isinstance(value, Mapping | str):
            keys = ", ".join(f"{key}.{each}" for each in node)
            raise ConfigError(f"{key}: got {value!r}; must be set key by key: {keys}.")


def _check_form(key: Any) -> None:
    if not isinstance(key, str) or not _KEY.fullmatch(key) or len(_parts(key)) > _MAX_DEPTH:
        raise ConfigError(
            f"--params: got the key {shortened(key)}; must be names separated by dots, and the number "
            "of an item of a list in brackets, such as curation.filters[2].max_words."
        )


def _check_item(key: str, node: Any, part: str | int) -> None:
    """Raises ConfigError where a list has no such item."""
    if isinstance(node, list) and not (isinstance(part, int) and part < len(node)):
        raise ConfigError(
            f"{key}: got the item {part!r} of a list of {len(node)}; must be a number below {len(node)}, "
            "because the first is 0. Give the whole list to make it longer."
        )


def _leaves(key: str, value: Any, config: DictConfig) -> Iterator[tuple[str, Any]]:
    """Yields a value by its dotted key; a mapping key by key where the files have one too."""
    section, _, name = key.partition(".")
    needed = {"_target_", _OPEN.get(section) if name and "." not in name else None}
    if isinstance(value, Mapping) and value and not needed & set(value) and _is_mapping(config, key):
        for inner, each in value.items():
            yield from _leaves(f"{key}.{inner}", each, config)
    else:
        yield key, value


def _is_mapping(config: DictConfig, key: str) -> bool:
    node: Any = OmegaConf.to_container(config)
    for part in _parts(key):
        node = _inner(node, part)
    return isinstance(node, Mapping)


def _parts(key: str) -> list[str | int]:
    """Splits `curation.filters[2].max_words` at dots and brackets."""
    return [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", key)]


def _inner(node: Any, part: str | int) -> Any:
    if isinstance(node, Mapping):
        return node.get(part)
    if isinstance(node, Sequence) and not isinstance(node, str) and isinstance(part, int):
        return node[part] if part < len(node) else None
    return None


def _check_whole_entry(parts: Sequence[str | int], value: Any, present: Any) -> None:
    section, name = str(parts[0]), str(parts[1])
    needed = _OPEN[section]
    # a string may be an interpolation, such as ${corpus}
    is_whole = isinstance(value, str) or (isinstance(value, Mapping) and needed in value)
    whole = len(parts) == 2 and is_whole
    if not whole and (len(parts) < 3 or parts[2] != needed):
        raise ConfigError(
            f"{section}.{name}: unknown key; {must_be_one_of(name, map(str, present))} A new one must have "
            f"the key {needed}."
        )


def _unknown_top(key: str, known: Sequence[str]) -> ConfigError:
    for old, new in _RENAMED.items():
        if key == old or key.startswith(f"{old}."):
            return ConfigError(f"{key}: unknown key; {old} is {new} now.")
    top = key.partition(".")[0]
    return ConfigError(f"{key}: unknown key; {must_be_one_of(top, set(known))}")
