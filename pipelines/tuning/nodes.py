"""Adapters of the tuning room: a trial draws images at one scale, trains on them, and is scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.utils import find_kedro_project

from pipelines.config.arm_plan import plan_arm, training_of
from pipelines.config.corpus import build_corpus
from pipelines.config.evaluation import validation_score
from pipelines.config.executor import build_executor
from pipelines.config.generator import model_folder
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.training.settings import TrainingSettings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from stablerep.corpora.corpus import Corpus
    from stablerep.generation.image_sets.image_set import ImageSetRequest
    from stablerep.training.arms import ArmPlan, TrainedArm

_METHOD = "stablerep"


@dataclass(frozen=True)
class _Trials:
    """Draws, trains and scores at one guidance scale after the other; the test split is never opened.

    Attributes:
        request: the images of a trial, but for their settings and their folder.
        generator: the section, with the study's images per caption.
        corpus: that of the captions.
        size_px: of the views.
        training: as for an arm, with the trial's number of views.
        plan: (arm's name, arm) -> what `train_arm` takes first.
        score: a trained arm -> its accuracy on the validation split.
    """

    request: Callable[[GeneratorSettings, Path], ImageSetRequest]
    generator: dict[str, Any]
    study_folder: Path
    corpus: Corpus
    size_px: int
    training: TrainingSettings
    plan: Callable[[str, dict[str, Any]], ArmPlan]
    score: Callable[[TrainedArm], float]

    def drawn_at(self, guidance_scale: float) -> GeneratorSettings:
        """Returns the generator's settings at a scale."""
        from stablerep.generation.diffusion.precision import with_dtype_chosen

        values = GeneratorSettings.read({**self.generator, "guidance_scale": guidance_scale})
        return with_dtype_chosen(values, None, None)

    def __call__(self, guidance_scale: float, trial: int) -> dict[str, float]:
        """Returns the metrics of one trial."""
        from stablerep.generation.image_sets.image_set import make_image_set
        from stablerep.image_sets.generated_set import from_manifest
        from stablerep.image_sets.opening import open_image_set
        from stablerep.training.arms import train_arm

        name = f"images-{guidance_scale:.3f}"
        store = self.study_folder / name
        request = self.request(self.drawn_at(guidance_scale), store)
        manifest, ledger = make_image_set(request)
        image_set = from_manifest(name, manifest, request.captions, store)
        source = open_image_set(image_set, self.corpus, self.size_px, self.training.cache_mib)
        trained = train_arm(self.plan(f"trial_{trial}", {"method": _METHOD, "images": name}), source)
        last = trained.history.iloc[-1]
        return {
            "validation_accuracy": self.score(trained),
            "loss": last["loss"],
            "embedding_std": last["embedding_std"],
            "num_made_images": ledger["num_made_images"],
        }


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
    """Runs what is missing of the study, and draws its curve."""
    from stablerep.generation.image_sets.image_set import ImageSetRequest
    from stablerep.tuning.curve import draw_guidance_curve
    from stablerep.tuning.guidance import run_study
    from stablerep.tuning.settings import TuningSettings

    settings = TuningSettings.read(tuning)
    _check_arm(settings.images_per_caption, method)
    captions = caption_set.head(settings.num_captions)
    folder = model_folder(GeneratorSettings.read(generator), generator_folder)
    root = find_kedro_project(study_folder) or Path()
    by = build_executor(executor)
    # a trial is scored on the validation split; its captions are few, and all of them are trained on
    for_trials = training_of(
        "trial",
        {
            "method": _METHOD,
            "training": {
                "num_images": settings.num_images,
                "epochs": None,
                "num_probe_captions": 0,
                "online_probe": {"enabled": False},
            },
        },
        training,
    )
    trials = _Trials(
        lambda drawing, store: ImageSetRequest(captions, drawing, folder, store, seeds[0], takedowns, by),
        {**generator, "images_per_caption": settings.images_per_caption},
        study_folder,
        build_corpus(corpus),
        int(encoder["backbone"]["size_px"]),
        for_trials,
        lambda name, arm: plan_arm(name, arm, method[_METHOD], encoder, for_trials, settings.seed, root),
        lambda arm: validation_score(arm, evaluation_set, evaluation_sets, evaluation, features_work),
    )
    fingerprint = _fingerprint(
        captions=captions["caption_id"].tolist(),
        generator=_constant_of(folder, trials.drawn_at(settings.low)),
        trial=[settings.images_per_caption, settings.num_images, seeds[0]],
        training=[encoder, method[_METHOD], for_trials.model_dump()],
        scoring=[next(iter(evaluation_sets.values())), evaluation],
    )
    finished = run_study(trials, settings, study_folder, fingerprint)
    return finished, draw_guidance_curve(finished)


def _constant_of(folder: Path, drawing: GeneratorSettings) -> dict[str, Any]:
    """Returns what describes the generator, without what the study varies."""
    from stablerep.generation.diffusion.identity import describe_generator

    described = describe_generator(folder, drawing)
    return {key: value for key, value in described.items() if key not in ("generator_id", "guidance_scale")}


def _fingerprint(**depends_on: Any) -> str:
    return json.dumps(depends_on, sort_keys=True, default=str)


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
