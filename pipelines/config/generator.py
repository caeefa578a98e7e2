"""The section `generator`: its settings for an image set, and where the text-to-image model is."""

from pathlib import Path
from typing import Any

from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.generation.image_sets.settings import ImageSetSettings


def generator_of(name: str, generator: dict[str, Any], image_set: dict[str, Any]) -> GeneratorSettings:
    """Returns the section `generator` with what an image set overrides of it.

    Args:
        name: of the set, for messages.
        generator: the section.
        image_set: the set's entry.

    Raises:
        ConfigError: an overridden key is out of range.
    """
    own = ImageSetSettings.read(image_set, f"image_sets.{name}").generator_overrides
    return GeneratorSettings.read(generator | own, f"image_sets.{name}" if own else None)


def model_folder(generator: GeneratorSettings, generator_folder: Path) -> Path:
    """Returns the folder of the chosen model: the catalog's, unless the configuration names another.

    Args:
        generator: its `model_folder` is relative to the project, absolute, or null.
        generator_folder: the embedded generator's, from the catalog.
    """
    return named_folder(generator.model_folder, generator_folder)


def named_folder(named: str | None, embedded: Path | None) -> Path:
    """Returns a folder that the configuration names, relative to the project; else the catalog's."""
    from kedro.utils import find_kedro_project

    if not named and embedded is not None:
        return embedded
    project = find_kedro_project(embedded) if embedded is not None else None
    return (project or Path.cwd()) / str(named)
