"""Adapters of the scorer room: makes the embedded scorer and measures it."""

from pathlib import Path
from typing import Any


def train_scorer(recipe: dict[str, Any], scorer_work: Path, scorer_folder: Path) -> dict[str, float]:
    """Trains the scorer and returns its seconds."""
    from stablerep.alignment.settings import ScorerRecipe
    from stablerep.digit_scenes.scorer_training import train_scorer as train

    return {"training_s": train(ScorerRecipe.read(recipe), scorer_work, scorer_folder)}


def measure_scorer(
    scorer_seconds: dict[str, float],
    scorer_folder: Path,
    generator_folder: Path,
    recipe: dict[str, Any],
    generation: dict[str, Any],
) -> tuple[str, dict[str, Any]]:
    """Measures the scorer on real and on generated images; returns its card and figures."""
    from pipelines.config.model_folder import model_folder
    from pipelines.generation.nodes import generation_settings
    from stablerep.alignment.clip_arm import ClipArmScorer
    from stablerep.digit_scenes.scorer_card import measure, write_card
    from stablerep.generation.diffusion.settings import GeneratorSettings

    scorer = ClipArmScorer(scorer_folder)
    folder = model_folder(GeneratorSettings.read(generation), generator_folder)
    figures = measure(scorer, folder, generation_settings(generation), seed=recipe["seed"])
    return write_card(figures, scorer_seconds, recipe), figures
