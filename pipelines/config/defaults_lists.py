"""Finds circles in Hydra's defaults lists: files that include each other."""

from collections.abc import Iterator
from pathlib import Path

from omegaconf import OmegaConf

from pipelines.config.yaml_files import read_yaml_file


def circle_in(folder: Path) -> list[str]:
    """Returns the files whose defaults lists name each other in a circle, relative to the folder.

    Args:
        folder: holds config.yaml and one folder per group.

    Raises:
        ConfigError: a file is no YAML.
    """
    named = {path: list(_named_by(path, folder)) for path in sorted(folder.rglob("*.yaml"))}
    for start in named:
        reached, waiting = set(), list(named[start])
        while waiting:
            path = waiting.pop()
            if path not in reached:
                reached.add(path)
                waiting += named.get(path, [])
        if start in reached:
            back = [path for path in reached if start in named.get(path, ())]
            return [str(path.relative_to(folder)) for path in dict.fromkeys((start, *sorted(back)))]
    return []


def _named_by(path: Path, folder: Path) -> Iterator[Path]:
    defaults = OmegaConf.to_container(read_yaml_file(path)).get("defaults")  # type: ignore[union-attr]
    for entry in defaults if isinstance(defaults, list) else ():
        pairs = entry.items() if isinstance(entry, dict) else [("", entry)]
        for group, names in pairs:
            if str(group).startswith("override "):  # changes a choice, adds no file
                continue
            for name in names if isinstance(names, list) else [names]:
                place = f"{group}/{name}" if group else str(name)
                # from the folder where it begins with a slash, else from the file's own group
                start = folder if place.startswith("/") else path.parent
                yield start / f"{place.lstrip('/')}.yaml"
