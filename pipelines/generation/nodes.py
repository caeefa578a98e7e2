"""Adapters of the generation room: makes the image set, then inspects it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.model_folder import model_folder

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.generation.settings import GenerationSettings


def generate_images(
    caption_set: pd.DataFrame,
    takedowns: pd.DataFrame,
    generator_folder: Path,
    image_store: Path,
    generation: dict[str, Any],
    seed: int,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Makes the images that are missing; returns the manifest and the ledger of this run."""
    from stablerep.generation.image_set import make_image_set

    return make_image_set(
        caption_set,
        generation_settings(generation),
        model_folder(generation, generator_folder),
        image_store,
        seed,
        takedowns,
    )


def inspect_images(
    image_manifest: pd.DataFrame,
    image_store: Path,
    gates: dict[str, list[dict[str, Any]]],
    data_docs: Path,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Measures every image and passes the set through the image gate."""
    from stablerep.generation.inspect import inspect_images as inspect
    from stablerep.validation.gate import check_images

    result = check_images(inspect(image_store, image_manifest), gates["images"], data_docs)
    return stored_images(image_manifest), result


def stored_images(image_manifest: pd.DataFrame) -> pd.DataFrame:
    """Returns a manifest without the images that the safety checker blanked."""
    stored = image_manifest[image_manifest["state"] == "intact"].reset_index(drop=True)
    stored.attrs = {}  # the ledger: what images cost changes nothing for what is trained on them
    return stored


def generation_settings(generation: dict[str, Any]) -> GenerationSettings:
    """Returns the section `generation` as the library knows it, the scheduler's class looked up."""
    from hydra.utils import get_class

    from stablerep.generation.settings import GenerationSettings

    values = {key: value for key, value in generation.items() if key != "model_folder"}
    scheduler = dict(values.pop("scheduler", None) or {})
    target = scheduler.pop("_target_", None)
    if "guidance_interval" in values:
        values["guidance_interval"] = tuple(values["guidance_interval"])
    return GenerationSettings(
        **values, scheduler=get_class(target) if target else None, scheduler_options=scheduler
    )
