"""Where the text-to-image model lies; apart from the rooms that need it, so that none needs another."""

from pathlib import Path
from typing import Any


def model_folder(generation: dict[str, Any], generator_folder: Path) -> Path:
    """Returns the folder of the chosen model: the catalog's, unless the configuration names another.

    Args:
        generation: its `model_folder` is relative to the project, absolute, or null.
        generator_folder: the embedded generator's, from the catalog.
    """
    from kedro.utils import find_kedro_project

    named = generation.get("model_folder")
    if not named:
        return generator_folder
    return (find_kedro_project(generator_folder) or Path.cwd()) / named
