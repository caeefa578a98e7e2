"""Adapters of the scorer room: makes the embedded scorer and measures it."""

from pathlib import Path
from typing import Any

from pipelines.config.build import build
from pipelines.config.generator import generator_settings, model_folder

_WHERE = "conf/params/scorer/<name>.yaml"


def train_scorer(
    recipe: dict[str, Any], scorer_work: Path, place_of_scorer: Path
) -> tuple[Path, dict[str, float]]:
    """Trains the scorer; returns its folder and its seconds."""
    from stablerep.alignment.settings import ScorerRecipe

    values = {key: value for key, value in recipe.items() if key != "card"}
    training = build("scorer.training", recipe["training"], _WHERE)
    seconds = training.train(ScorerRecipe.from_mapping(values), scorer_work, place_of_scorer)
    return place_of_scorer, {"training_s": seconds}


def measure_scorer(
    scorer_seconds: dict[str, float],
    scorer_folder: Path,
    generator_folder: Path,
    recipe: dict[str, Any],
    generator: dict[str, Any],
) -> tuple[str, dict[str, Any]]:
    """Measures the scorer on real and on generated images; returns its card and figures."""
    from stablerep.alignment.clip_arm import ClipArmScorer

    card = build("scorer.card", recipe["card"], _WHERE)
    scorer = ClipArmScorer(scorer_folder)
    folder = model_folder(generator, generator_folder)
    figures = card.measure(scorer, folder, generator_settings(generator), seed=recipe["seed"])
    return card.write(figures, scorer_seconds, recipe), figures
