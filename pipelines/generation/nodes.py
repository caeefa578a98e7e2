"""Adapters of the generation room: makes the image set, scores it, applies the policy, inspects it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build
from pipelines.config.chosen_scorer import find_scorer
from pipelines.config.model_folder import model_folder
from stablerep.alignment.settings import AlignmentPolicy, AlignmentSettings
from stablerep.generation.diffusion.settings import GeneratorSettings

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.alignment.scorer import Scorer
    from stablerep.generation.executors.executor import Executor

_HEALTH = ("pixel_std", "hash_distance_bits")


def generate_images(
    caption_set: pd.DataFrame,
    takedowns: pd.DataFrame,
    generator_folder: Path,
    image_store: Path,
    generation: dict[str, Any],
    execution: dict[str, Any],
    seed: int,
    scoring: dict[str, Any] | None = None,
    scorer_folder: Path | None = None,
    further: Mapping[str, Sequence[int]] | None = None,
    keeps_spare: bool | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Makes the images that are missing; returns the manifest and the ledger of this run.

    Further images that an earlier run's policy had drawn stay, until the policy has been applied again.
    """
    from stablerep.generation.image_sets.image_set import make_image_set

    if scoring is not None:
        # a scorer that is missing, or of other images, must cost none
        find_scorer(AlignmentSettings.read(scoring), scorer_folder)
        _check_scorer_fits(scoring, generation)
    if keeps_spare is None:
        keeps_spare = scoring is not None and alignment_policy(scoring).remakes
    folder = model_folder(GeneratorSettings.read(generation), generator_folder)
    return make_image_set(
        caption_set,
        generation_settings(generation, image_store, folder),
        folder,
        image_store,
        seed,
        takedowns,
        executor_of(execution),
        further,
        keeps_spare,
    )


def score_images(
    drawn_images: pd.DataFrame,
    caption_set: pd.DataFrame,
    image_store: Path,
    scoring: dict[str, Any],
    scorer_folder: Path,
) -> tuple[pd.DataFrame, int]:
    """Scores the images that have no score yet; returns the scores and how many were computed."""
    return _score(
        drawn_images, caption_set, image_store, find_scorer(AlignmentSettings.read(scoring), scorer_folder)
    )


def _score(
    manifest: pd.DataFrame, caption_set: pd.DataFrame, image_store: Path, scorer: Scorer | None
) -> tuple[pd.DataFrame, int]:
    from stablerep.alignment.scores import no_scores, score_image_set

    if scorer is None:
        return no_scores(), 0
    texts = dict(zip(caption_set["caption_id"], caption_set["text"], strict=True))
    return score_image_set(manifest, texts, image_store, scorer)


def apply_policy(
    drawn_images: pd.DataFrame,
    drawn_scores: tuple[pd.DataFrame, int],
    caption_set: pd.DataFrame,
    takedowns: pd.DataFrame,
    generator_folder: Path,
    image_store: Path,
    generation: dict[str, Any],
    execution: dict[str, Any],
    seed: int,
    scoring: dict[str, Any],
    scorer_folder: Path,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Rejects images, draws further ones where the policy says so; returns manifest, scores, ledger."""
    from stablerep.alignment.remake import apply_policy as apply

    attributes = drawn_images.attrs

    def draw(further: Mapping[str, Sequence[int]], keeps_spare: bool) -> tuple[pd.DataFrame, int]:
        nonlocal attributes
        manifest, ledger = generate_images(
            caption_set,
            takedowns,
            generator_folder,
            image_store,
            generation,
            execution,
            seed,
            further=further,
            keeps_spare=keeps_spare,
        )
        attributes = manifest.attrs
        return manifest, ledger["num_made_images"]

    def score(manifest: pd.DataFrame) -> tuple[pd.DataFrame, int]:
        return _score(manifest, caption_set, image_store, scorer)

    scorer = find_scorer(AlignmentSettings.read(scoring), scorer_folder)
    scores, num_scored = drawn_scores
    policy = alignment_policy(scoring)
    aligned = apply(drawn_images, scores, generation["images_per_caption"], policy, draw, score)
    ledger = aligned.ledger | {"scorer_id": scorer.scorer_id if scorer else None}
    ledger["num_scored"] += num_scored
    aligned.manifest.attrs = attributes  # what the images cost
    return aligned.manifest, aligned.scores, ledger


def inspect_images(
    image_manifest: pd.DataFrame,
    caption_set: pd.DataFrame,
    takedowns: pd.DataFrame,
    evaluation_captions: pd.DataFrame,
    image_store: Path,
    gates: dict[str, Any],
    data_docs: Path,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Measures every image and passes the set through the image gate."""
    from stablerep.generation.image_sets.inspect import inspect_images as inspect
    from stablerep.generation.image_sets.inspect import without_taken_down
    from stablerep.validation.gate import check_images

    wanted = without_taken_down(caption_set, takedowns)
    images, captions = inspect(image_store, image_manifest, wanted, evaluation_captions["caption"])
    result = check_images(images, captions, gates, data_docs)
    # what the gate has passed is whole; what it measured stands beside each image's score
    measured = {name: images[name].astype("float64") for name in _HEALTH}
    return stored_images(image_manifest).assign(**measured), result


def stored_images(image_manifest: pd.DataFrame) -> pd.DataFrame:
    """Returns a manifest without rejected images: blanked by the safety checker, or misaligned."""
    stored = image_manifest[image_manifest["state"] == "intact"].reset_index(drop=True)
    stored.attrs = {}  # the ledger: what images cost changes nothing for what is trained on them
    return stored


def alignment_policy(scoring: dict[str, Any]) -> AlignmentPolicy:
    """Returns the section `alignment.policy` as the library knows it."""
    return AlignmentPolicy.read(scoring["policy"])


def _check_scorer_fits(scoring: dict[str, Any], generation: dict[str, Any]) -> None:
    """Refuses to reject another generator's images for the scores of the embedded scorer."""
    import logging

    from stablerep.errors import ConfigError

    embedded = scoring["scorer"] is not None and not scoring["scorer"].get("folder")
    if not (embedded and generation.get("model_folder")):
        return
    fault = (
        f"alignment.scorer: got the embedded scorer, which knows digit scenes alone, for images of "
        f"{generation['model_folder']}; must be another. Add --params alignment=transformers_clip, or "
        "alignment=unscored."
    )
    if alignment_policy(scoring).rejects:
        raise ConfigError(fault)
    logging.getLogger(__name__).warning("%s Nothing is rejected, but the scores mean nothing", fault)


def generation_settings(
    generation: dict[str, Any], store: Path | None = None, folder: Path | None = None
) -> GeneratorSettings:
    """Returns the section `generator` as the library knows it, its dtype chosen.

    Args:
        generation: the section.
        store: the image set that is drawn for; None for images that go into none.
        folder: of the model that draws for it.

    Raises:
        ConfigError: a value is out of range.
    """
    from stablerep.generation.diffusion.precision import with_dtype_chosen

    return with_dtype_chosen(GeneratorSettings.read(generation), store, folder)


def executor_of(execution: dict[str, Any]) -> Executor:
    """Returns who makes the shards, of the section `executor`."""
    return build("executor", execution, "conf/params/executor/<name>.yaml")
