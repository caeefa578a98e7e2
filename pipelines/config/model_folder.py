"""Where the text-to-image model is; apart from the rooms that need it, so that none needs another."""

from pathlib import Path

from stablerep.generation.diffusion.settings import GeneratorSettings


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
