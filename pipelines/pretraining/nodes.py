"""Adapters of the pretraining room: makes a generator and measures it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build
from stablerep.generation.diffusion.settings import GeneratorSettings

if TYPE_CHECKING:
    import pandas as pd


def pretrain_generator(
    recipe: dict[str, Any], takedowns: "pd.DataFrame", work: Path, place: Path
) -> tuple[Path, dict[str, float]]:
    """Trains the generator on images that were not taken down; returns its folder and its seconds by part."""
    from stablerep.generation.pretraining.captioned_pixels import taken_down_in
    from stablerep.generation.pretraining.launch import pretrain_generator as pretrain
    from stablerep.generation.pretraining.recipe import PretrainingRecipe

    return place, pretrain(PretrainingRecipe.read(recipe), work, place, taken_down_in(takedowns))


def measure_generator(
    pretraining_seconds: dict[str, float],
    generator_folder: Path,
    takedowns: "pd.DataFrame",
    recipe: dict[str, Any],
    generator: dict[str, Any],
) -> tuple[str, Any, dict[str, Any]]:
    """Measures the generator over guidance scales; returns its model card, picture and figures."""
    from torchvision.transforms.functional import to_pil_image

    from stablerep.generation.diffusion.precision import with_dtype_chosen
    from stablerep.generation.pretraining.captioned_pixels import taken_down_in

    card = build("pretraining.card", recipe["card"], "conf/params/pretraining/<name>.yaml")
    card = card.without(taken_down_in(takedowns))
    settings = with_dtype_chosen(GeneratorSettings.read(generator), None, None)
    figures = card.measure(generator_folder, settings, seed=recipe["seed"])
    picture = to_pil_image(card.picture(generator_folder, settings, seed=recipe["seed"]))
    return card.write(figures, pretraining_seconds, recipe), picture, figures
