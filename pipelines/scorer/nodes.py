"""Adapters of the scorer room: makes the embedded scorer and measures it."""

from pathlib import Path
from typing import Any

from pipelines.config.build import build
from pipelines.config.generator import model_folder
from stablerep.generation.diffusion.settings import GeneratorSettings

_WHERE = "conf/params/scorer/<name>.yaml"


def train_scorer(
    recipe: dict[str, Any], scorer_work: Path, place_of_scorer: Path
) -> tuple[Path, dict[str, float]]:
    """Trains the scorer; returns its folder and its seconds."""
    from stablerep.alignment.settings import ScorerRecipe

    training = build("scorer.training", recipe["training"], _WHERE)
    seconds = training.train(ScorerRecipe.read(recipe), scorer_work, place_of_scorer)
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
    from stablerep.generation.diffusion.precision import with_dtype_chosen

    card = build("scorer.card", recipe["card"], _WHERE)
    scorer = ClipArmScorer(scorer_folder)
    settings = GeneratorSettings.read(generator)
    folder = model_folder(settings, generator_folder)
    drawing = with_dtype_chosen(settings, None, None)
    figures = card.measure(scorer, folder, drawing, seed=recipe["seed"])
    return card.write(figures, scorer_seconds, recipe), figures
