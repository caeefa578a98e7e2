"""Adapters of the pretraining room: makes the embedded generator and measures it."""

from pathlib import Path
from typing import Any

from pipelines.config.build import build
from stablerep.generation.diffusion.settings import GeneratorSettings


def pretrain_generator(
    recipe: dict[str, Any], pretraining_work: Path, place_of_generator: Path
) -> tuple[Path, dict[str, float]]:
    """Trains the generator; returns its folder and its seconds by part."""
    from stablerep.generation.pretraining.launch import pretrain_generator as pretrain
    from stablerep.generation.pretraining.recipe import PretrainingRecipe

    seconds = pretrain(PretrainingRecipe.read(recipe), pretraining_work, place_of_generator)
    return place_of_generator, seconds


def measure_generator(
    pretraining_seconds: dict[str, float],
    generator_folder: Path,
    recipe: dict[str, Any],
    generator: dict[str, Any],
) -> tuple[str, Any, dict[str, Any]]:
    """Measures the generator over guidance scales; returns its model card, picture and figures."""
    from torchvision.transforms.functional import to_pil_image

    from stablerep.generation.diffusion.precision import with_dtype_chosen

    card = build("pretraining.card", recipe["card"], "conf/params/pretraining/<name>.yaml")
    settings = with_dtype_chosen(GeneratorSettings.read(generator), None, None)
    figures = card.measure(generator_folder, settings, seed=recipe["seed"])
    picture = to_pil_image(card.picture(generator_folder, settings, seed=recipe["seed"]))
    return card.write(figures, pretraining_seconds, recipe), picture, figures
