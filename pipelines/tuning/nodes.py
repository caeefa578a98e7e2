"""Adapters of the tuning room: a trial draws images at a scale, trains on them with a seed, is scored."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.utils import find_kedro_project

from pipelines.config.arm_plan import plan_arm, training_of
from pipelines.config.corpus import build_corpus
from pipelines.config.evaluation import validation_scores
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
    from stablerep.tuning.guidance import Outcome, Point

_METHOD = "stablerep"
# of a generator's description: what the study varies, and what each set decides for itself
_VARIED = ("generator_id", "guidance_scale", "num_inference_steps", "noise")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Trials:
    """Draws, trains and scores at one point after the other; the test split is never opened.

    Attributes:
        request: the images of a trial, but for their settings and their folder.
        generator: the section, with the study's images per caption.
        model_folder: of the generator.
        study_folder: of the trials' images and checkpoints.
        corpus: that of the captions.
        size_px: of the views.
        training: as for an arm, with the trial's number of views.
        plan: (arm, seed) -> what `train_arm` takes first.
        score: a trained arm -> its score of each validation unit.
    """

    request: Callable[[GeneratorSettings, Path], ImageSetRequest]
    generator: dict[str, Any]
    model_folder: Path
    study_folder: Path
    corpus: Corpus
    size_px: int
    training: TrainingSettings
    plan: Callable[[dict[str, Any], int], ArmPlan]
    score: Callable[[TrainedArm], pd.Series]

    def drawn_at(self, guidance_scale: float, num_inference_steps: int) -> GeneratorSettings:
        """Returns the generator's settings at a point."""
        from stablerep.generation.diffusion.precision import with_dtype_chosen

        chosen = {"guidance_scale": guidance_scale, "num_inference_steps": num_inference_steps}
        return with_dtype_chosen(GeneratorSettings.read(self.generator | chosen), None, None)

    def __call__(self, point: Point, seed: int) -> Outcome:
        """Returns the outcome of one trial; a killed one continues where it was stopped."""
        from stablerep.generation.diffusion.model import passes_per_image
        from stablerep.generation.image_sets.image_set import make_image_set
        from stablerep.image_sets.generated_set import from_manifest
        from stablerep.image_sets.opening import open_image_set
        from stablerep.training.arms import train_arm
        from stablerep.tuning.guidance import Outcome

        settings = self.drawn_at(point.guidance_scale, point.num_inference_steps)
        name = f"images-{point.guidance_scale:.3f}"
        if point.num_inference_steps != self.generator["num_inference_steps"]:
            name += f"-{point.num_inference_steps}-steps"
        store = self.study_folder / name
        request = self.request(settings, store)
        manifest, ledger = make_image_set(request)
        image_set = from_manifest(name, manifest, request.captions, store)
        source = open_image_set(image_set, self.corpus, self.size_px, self.training.cache_mib)
        work = self.study_folder / "checkpoints" / f"{name}-seed-{seed}"
        trained = train_arm(self.plan({"method": _METHOD, "images": name}, seed), source, work)
        scores = self.score(trained)
        shutil.rmtree(work, ignore_errors=True)
        last = trained.history.iloc[-1]
        figures = {
            "loss": last["loss"],
            "embedding_std": last["embedding_std"],
            "num_made_images": ledger["num_made_images"],
        }
        return Outcome(scores.to_numpy(), passes_per_image(self.model_folder, settings), figures)


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
    **places: Path,
) -> tuple[pd.DataFrame, Figure, dict[str, Any]]:
    """Runs the missing trials of the study, draws its curve and recommends a scale.

    Images of generated sets in `places` are copied where they are those of a trial.
    """
    from stablerep.generation.image_sets.image_set import ImageSetRequest
    from stablerep.tuning.curve import draw_guidance_curve
    from stablerep.tuning.guidance import run_study
    from stablerep.tuning.recommendation import recommend
    from stablerep.tuning.settings import TuningSettings

    settings, drawing = TuningSettings.read(tuning), GeneratorSettings.read(generator)
    _check_arm(settings.images_per_caption, method)
    captions = caption_set.head(settings.num_captions)
    folder = model_folder(drawing, generator_folder)
    root = find_kedro_project(study_folder) or Path()
    by, lenders = build_executor(executor), tuple(places.values())
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
        lambda drawn, store: ImageSetRequest(
            captions, drawn, folder, store, seeds[0], takedowns, by, lenders=lenders
        ),
        {**generator, "images_per_caption": settings.images_per_caption},
        folder,
        study_folder,
        build_corpus(corpus),
        int(encoder["backbone"]["size_px"]),
        for_trials,
        # of one name: what a seed decides is the same at every scale, so that scales are compared within it
        lambda arm, seed: plan_arm("trial", arm, method[_METHOD], encoder, for_trials, seed, root),
        lambda arm: validation_scores(arm, evaluation_set, evaluation_sets, evaluation, features_work),
    )
    fingerprint = _fingerprint(
        captions=captions["caption_id"].tolist(),
        generator=_constant_of(folder, trials.drawn_at(settings.low, drawing.num_inference_steps)),
        trial=[settings.images_per_caption, settings.num_images, seeds[0]],
        training=[encoder, method[_METHOD], for_trials.model_dump()],
        scoring=[next(iter(evaluation_sets.values())), evaluation, _digest_of(evaluation_set)],
    )
    finished = run_study(trials, settings, study_folder, fingerprint, drawing.num_inference_steps)
    found = recommend(finished, settings, drawing.guidance_scale)
    for sentence in found.sentences():
        logger.info("%s", sentence)
    return finished, draw_guidance_curve(found), found.to_json()


def _digest_of(table: pd.DataFrame) -> int:
    """Returns a digest of which images an evaluation set has, in which split and unit."""
    import pandas as pd

    return int(pd.util.hash_pandas_object(table[["key", "split", "unit"]].astype(str), index=False).sum())


def _constant_of(folder: Path, drawing: GeneratorSettings) -> dict[str, Any]:
    """Returns what describes the generator, without what the study varies."""
    from stablerep.generation.diffusion.identity import describe_generator

    described = describe_generator(folder, drawing)
    return {key: value for key, value in described.items() if key not in _VARIED}


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
