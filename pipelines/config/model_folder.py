"""Where the text-to-image model lies; apart from the rooms that need it, so that none needs another."""

from pathlib import Path
from typing import Any


def model_folder(generation: dict[str, Any], generator_folder: Path) -> Path:
    """Returns the folder of the chosen model: the catalog's, unless the configuration names another.

    Args:
        generation: its `model_folder` is relative to the project, absolute, or null.
        generator_folder: the embedded generator's, from the catalog.
    """
    return named_folder(generation.get("model_folder"), generator_folder)


def named_folder(named: str | None, embedded: Path | None) -> Path:
    """Returns a folder that the configuration names, relative to the project; else the catalog's."""
    from kedro.utils import find_kedro_project

    if not named and embedded is not None:
        return embedded
    project = find_kedro_project(embedded) if embedded is not None else None
    return (project or Path.cwd()) / str(named)
