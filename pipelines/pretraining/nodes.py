"""Adapters of the pretraining room: makes the embedded generator and measures it."""

from pathlib import Path
from typing import Any


def pretrain_generator(
    recipe: dict[str, Any], pretraining_work: Path, generator_folder: Path
) -> dict[str, float]:
    """Trains the generator and returns its seconds by part."""
    from stablerep.generation.pretraining.launch import pretrain_generator as pretrain
    from stablerep.generation.pretraining.recipe import PretrainingRecipe

    return pretrain(PretrainingRecipe.read(recipe), pretraining_work, generator_folder)


def measure_generator(
    pretraining_seconds: dict[str, float],
    generator_folder: Path,
    recipe: dict[str, Any],
    generation: dict[str, Any],
) -> tuple[str, Any, dict[str, Any]]:
    """Measures the generator over guidance scales; returns its model card, picture and figures."""
    from torchvision.transforms.functional import to_pil_image

    from pipelines.generation.nodes import generation_settings
    from stablerep.digit_scenes.model_card import measure, sample_grid, write_card

    settings = generation_settings(generation)
    figures = measure(generator_folder, settings, seed=recipe["seed"])
    picture = to_pil_image(sample_grid(generator_folder, settings, seed=recipe["seed"]))
    return write_card(figures, pretraining_seconds, recipe), picture, figures
