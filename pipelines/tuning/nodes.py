"""Adapters of the tuning room: a trial draws images at one scale, trains on them, and is scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.model_folder import model_folder
from pipelines.evaluation.nodes import rebuild_encoder
from pipelines.generation.nodes import executor_of, generation_settings, stored_images
from pipelines.training.nodes import plan_arm, read_synthetic_images
from stablerep.generation.diffusion.settings import GeneratorSettings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_METHOD = "stablerep"


def tune_guidance(
    caption_set: pd.DataFrame,
    takedowns: pd.DataFrame,
    generator_folder: Path,
    study_folder: Path,
    study: dict[str, Any],
    generation: dict[str, Any],
    execution: dict[str, Any],
    batch: dict[str, Any],
    model: dict[str, Any],
    methods: dict[str, Any],
    optimisation: dict[str, Any],
    scenes: dict[str, Any],
    probe: dict[str, Any],
    seed: int,
) -> tuple[pd.DataFrame, Figure]:
    """Runs what is missing of the study, and draws its curve. Held-out hands are never seen."""
    from stablerep.evaluation.evaluate import validation_accuracy
    from stablerep.evaluation.settings import ProbeSettings, SceneSettings
    from stablerep.generation.diffusion.identity import describe_generator
    from stablerep.generation.image_sets.image_set import make_image_set
    from stablerep.training.arms import train_arm
    from stablerep.tuning.curve import draw_guidance_curve
    from stablerep.tuning.guidance import run_study
    from stablerep.tuning.settings import TuningSettings

    settings = TuningSettings.read(study)
    _check_arm(settings.images_per_caption, methods)
    captions = caption_set.head(settings.num_captions)
    folder = model_folder(GeneratorSettings.read(generation), generator_folder)
    executor = executor_of(execution)
    generation = {**generation, "images_per_caption": settings.images_per_caption}
    # a trial is scored on validation hands; its captions are few, and all of them are trained on
    optimisation = {**optimisation, "num_images": settings.num_images, "num_probe_captions": 0}

    def objective(guidance_scale: float, trial: int) -> dict[str, float]:
        drawing = generation_settings({**generation, "guidance_scale": guidance_scale})
        store = study_folder / f"images-{guidance_scale:.3f}"
        manifest, ledger = make_image_set(captions, drawing, folder, store, seed, takedowns, executor)
        source = read_synthetic_images(stored_images(manifest), store, captions, optimisation)
        arm = {"name": f"trial_{trial}", "method": _METHOD, "images": "synthetic"}
        plan = plan_arm(arm, batch, methods, model, optimisation, folder, settings.seed)
        trained = train_arm(plan, source)
        encoder = rebuild_encoder(trained.encoder_config, trained.weights)
        accuracy = validation_accuracy(
            encoder, SceneSettings(**scenes), ProbeSettings(**probe), settings.seed
        )
        last = trained.history.iloc[-1]
        return {
            "validation_accuracy": accuracy,
            "loss": last["loss"],
            "embedding_std": last["embedding_std"],
            "num_made_images": ledger["num_made_images"],
        }

    generator = describe_generator(folder, generation_settings(generation))
    del generator["generator_id"], generator["guidance_scale"]  # these are what the study varies
    depends_on = {
        "captions": captions["caption_id"].tolist(),
        "generator": generator,
        "trial": [settings.images_per_caption, settings.num_images, seed],
        "training": [batch, model, methods[_METHOD], optimisation],
        "scoring": [scenes, probe],
    }
    fingerprint = json.dumps(depends_on, sort_keys=True, default=str)
    trials = run_study(objective, settings, study_folder, fingerprint)
    return trials, draw_guidance_curve(trials)


def _check_arm(images_per_caption: int, methods: dict[str, Any]) -> None:
    from stablerep.errors import ConfigError

    if _METHOD not in methods:
        raise ConfigError(
            f"method: got {', '.join(methods)}; must name {_METHOD}, which the study trains. "
            f"Add it: --params method=[{_METHOD}]"
        )
    wanted = methods[_METHOD].get("images_per_caption", 1)
    if wanted > images_per_caption:
        raise ConfigError(
            f"tuning.images_per_caption: got {images_per_caption}; must be >= "
            f"method.{_METHOD}.images_per_caption = {wanted}. Set it in conf/params/tuning/<name>.yaml."
        )
