"""Adapters of the scorer room: makes the embedded scorer and measures it."""

from pathlib import Path
from typing import Any

from pipelines.config.build import build

_WHERE = "conf/params/scorer/<name>.yaml"


def train_scorer(recipe: dict[str, Any], scorer_work: Path, scorer_folder: Path) -> dict[str, float]:
    """Trains the scorer and returns its seconds."""
    from stablerep.alignment.settings import ScorerRecipe

    values = {key: value for key, value in recipe.items() if key != "card"}
    training = build("scorer_recipe.training", recipe["training"], _WHERE)
    return {"training_s": training.train(ScorerRecipe.from_mapping(values), scorer_work, scorer_folder)}


def measure_scorer(
    scorer_seconds: dict[str, float],
    scorer_folder: Path,
    generator_folder: Path,
    recipe: dict[str, Any],
    generation: dict[str, Any],
) -> tuple[str, dict[str, Any]]:
    """Measures the scorer on real and on generated images; returns its card and figures."""
    from pipelines.config.generator import model_folder
    from pipelines.generation.nodes import generation_settings
    from stablerep.alignment.clip_arm import ClipArmScorer

    card = build("scorer_recipe.card", recipe["card"], _WHERE)
    scorer = ClipArmScorer(scorer_folder)
    folder = model_folder(generation, generator_folder)
    figures = card.measure(scorer, folder, generation_settings(generation), seed=recipe["seed"])
    return card.write(figures, scorer_seconds, recipe), figures
