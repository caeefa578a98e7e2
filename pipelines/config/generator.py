"""The section `generator`: where the text-to-image model lies, and its settings as the library knows them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stablerep.generation.diffusion.settings import GenerationSettings


def model_folder(generator: dict[str, Any], generator_folder: Path) -> Path:
    """Returns the folder of the chosen model: the catalog's, unless the configuration names another.

    Args:
        generator: its `model_folder` is relative to the project, absolute, or null.
        generator_folder: the embedded generator's, from the catalog.
    """
    return named_folder(generator.get("model_folder"), generator_folder)


def named_folder(named: str | None, embedded: Path | None) -> Path:
    """Returns a folder that the configuration names, relative to the project; else the catalog's."""
    from kedro.utils import find_kedro_project

    if not named and embedded is not None:
        return embedded
    project = find_kedro_project(embedded) if embedded is not None else None
    return (project or Path.cwd()) / str(named)


def own_generator(generator: dict[str, Any], image_set: dict[str, Any]) -> dict[str, Any]:
    """Returns the section `generator` with what an image set overrides of it."""
    own = {key: value for key, value in image_set.items() if key in generator and value is not None}
    return generator | own


def generator_settings(
    generator: dict[str, Any], store: Path | None = None, folder: Path | None = None
) -> "GenerationSettings":
    """Returns the section `generator` as the library knows it, the scheduler's class and dtype looked up.

    Args:
        generator: the section.
        store: the image set that is drawn for; None for images that go into none.
        folder: of the model that draws for it.

    Raises:
        ConfigError: a value is out of range, or there is no such sampler.
    """
    from hydra.utils import get_class

    from stablerep.errors import ConfigError
    from stablerep.generation.diffusion.precision import dtype_of_set, fastest_dtype
    from stablerep.generation.diffusion.settings import AUTO_DTYPE, GenerationSettings

    values = {key: value for key, value in generator.items() if key != "model_folder"}
    scheduler = dict(values.pop("scheduler", None) or {})
    target = scheduler.pop("_target_", None)
    if "guidance_interval" in values:
        values["guidance_interval"] = tuple(values["guidance_interval"])
    if values.get("dtype") == AUTO_DTYPE:
        begun = None if store is None or folder is None else dtype_of_set(store, folder.name)
        values["dtype"] = begun or fastest_dtype()
    try:
        sampler = get_class(target) if target else None
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"generator.scheduler._target_: got {target!r}; must be a sampler of diffusers, such as "
            "diffusers.DDIMScheduler. Set it in conf/params/generator/<name>.yaml."
        ) from error
    return GenerationSettings(**values, scheduler=sampler, scheduler_options=scheduler)
