"""Adapters of the tuning room: a trial draws images at one scale, trains on them, and is scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.utils import find_kedro_project

from pipelines.config.arm_plan import plan_arm
from pipelines.config.build import build
from pipelines.config.corpus import build_corpus
from pipelines.config.evaluation import validation_score
from pipelines.config.generator import model_folder
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.training.settings import TrainingSettings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_METHOD = "stablerep"


def tune_guidance(
    caption_set: pd.DataFrame,
    takedowns: pd.DataFrame,
    evaluation_set: pd.DataFrame,
    generator_folder: Path,
    study_folder: Path,
    features_work: Path,
    corpus: dict[str, Any],
    tuning: dict[str, Any],
    generator: dict[str, Any],
    executor: dict[str, Any],
    encoder: dict[str, Any],
    method: dict[str, Any],
    training: dict[str, Any],
    evaluation_sets: dict[str, Any],
    evaluation: dict[str, Any],
    seeds: list[int],
) -> tuple[pd.DataFrame, Figure]:
    """Runs what is missing of the study, and draws its curve. The test split is never opened."""
    from stablerep.generation.diffusion.identity import describe_generator
    from stablerep.generation.diffusion.precision import with_dtype_chosen
    from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set
    from stablerep.image_sets.generated_set import from_manifest
    from stablerep.image_sets.opening import open_image_set
    from stablerep.training.arms import train_arm
    from stablerep.tuning.curve import draw_guidance_curve
    from stablerep.tuning.guidance import run_study
    from stablerep.tuning.settings import TuningSettings

    settings = TuningSettings.read(tuning)
    _check_arm(settings.images_per_caption, method)
    captions = caption_set.head(settings.num_captions)
    folder = model_folder(GeneratorSettings.read(generator), generator_folder)
    root = find_kedro_project(study_folder) or Path()
    by = build("executor", executor, "conf/params/executor/<name>.yaml")
    generator = {**generator, "images_per_caption": settings.images_per_caption}
    # a trial is scored on the validation split; its captions are few, and all of them are trained on
    trial_training = TrainingSettings.read(
        {**training, "num_images": settings.num_images, "num_probe_captions": 0}
    )
    made_of = build_corpus(corpus)
    size_px = int(encoder["backbone"]["size_px"])

    def drawn_at(guidance_scale: float) -> GeneratorSettings:
        values = GeneratorSettings.read({**generator, "guidance_scale": guidance_scale})
        return with_dtype_chosen(values, None, None)

    def objective(guidance_scale: float, trial: int) -> dict[str, float]:
        drawing = drawn_at(guidance_scale)
        name = f"images-{guidance_scale:.3f}"
        store = study_folder / name
        manifest, ledger = make_image_set(
            ImageSetRequest(captions, drawing, folder, store, seeds[0], takedowns, by)
        )
        image_set = from_manifest(name, manifest, captions, store)
        source = open_image_set(image_set, made_of, size_px, trial_training.cache_mib)
        arm = {"method": _METHOD, "images": name}
        plan = plan_arm(f"trial_{trial}", arm, method[_METHOD], encoder, trial_training, settings.seed, root)
        trained = train_arm(plan, source)
        accuracy = validation_score(trained, evaluation_set, evaluation_sets, evaluation, features_work)
        last = trained.history.iloc[-1]
        return {
            "validation_accuracy": accuracy,
            "loss": last["loss"],
            "embedding_std": last["embedding_std"],
            "num_made_images": ledger["num_made_images"],
        }

    described = describe_generator(folder, drawn_at(settings.low))
    del described["generator_id"], described["guidance_scale"]  # these are what the study varies
    depends_on = {
        "captions": captions["caption_id"].tolist(),
        "generator": described,
        "trial": [settings.images_per_caption, settings.num_images, seeds[0]],
        "training": [encoder, method[_METHOD], trial_training.model_dump()],
        "scoring": [next(iter(evaluation_sets.values())), evaluation],
    }
    fingerprint = json.dumps(depends_on, sort_keys=True, default=str)
    trials = run_study(objective, settings, study_folder, fingerprint)
    return trials, draw_guidance_curve(trials)


def _check_arm(images_per_caption: int, method: dict[str, Any]) -> None:
    from stablerep.errors import ConfigError

    if _METHOD not in method:
        raise ConfigError(
            f"method: got {', '.join(method)}; must name {_METHOD}, which the study trains. "
            f"Add it: --params method=[{_METHOD}]"
        )
    wanted = method[_METHOD].get("images_per_caption", 1)
    if wanted > images_per_caption:
        raise ConfigError(
            f"tuning.images_per_caption: got {images_per_caption}; must be >= "
            f"method.{_METHOD}.images_per_caption = {wanted}. Set it in conf/params/tuning/<name>.yaml."
        )
