"""Adapters of a generated image set: draws images, scores them, applies the policy, inspects the result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.chosen_scorer import find_scorer
from pipelines.config.executor import build_executor
from pipelines.config.generator import generator_of, model_folder
from pipelines.config.nested import merged
from pipelines.image_sets.amounts import amounts_of
from stablerep.alignment.settings import AlignmentSettings
from stablerep.generation.diffusion.settings import GeneratorSettings

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.alignment.scorer import Scorer
    from stablerep.image_sets.image_set import ImageSet

_HEALTH = ("pixel_std", "hash_distance_bits")


def generate_images(
    name: str,
    caption_set: pd.DataFrame,
    takedowns: pd.DataFrame,
    generator_folder: Path,
    place: Path,
    image_set: dict[str, Any],
    generator: dict[str, Any],
    executor: dict[str, Any],
    seeds: list[int],
    alignment: dict[str, Any],
    scorer_folder: Path | None,
    as_many_as: ImageSet | None = None,
    further: Mapping[str, Sequence[int]] | None = None,
    keeps_spare: bool | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Makes the images that are missing; returns the manifest and the ledger of this run.

    Further images that an earlier run's policy had drawn stay, until the policy has been applied again.
    """
    from stablerep.generation.diffusion.precision import with_dtype_chosen
    from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set

    settings, scoring = generator_of(name, generator, image_set), alignment_of(name, alignment, image_set)
    if further is None:
        # a scorer that is missing, or of other images, must cost none
        find_scorer(scoring, scorer_folder)
        _check_scorer_fits(scoring, settings)
    if keeps_spare is None:
        keeps_spare = scoring.policy.remakes
    folder = model_folder(settings, generator_folder)
    return make_image_set(
        ImageSetRequest(
            captions_of_set(caption_set, image_set, settings, scoring, as_many_as),
            with_dtype_chosen(settings, place, folder),
            folder,
            place,
            seeds[0],
            takedowns,
            build_executor(executor),
            further or {},
            keeps_spare,
        )
    )


def alignment_of(name: str, alignment: dict[str, Any], image_set: dict[str, Any]) -> AlignmentSettings:
    """Returns the section `alignment` with the keys of the policy that a set changes."""
    policy = merged(f"image_sets.{name}.policy", alignment["policy"], image_set.get("policy") or {})
    return AlignmentSettings.read(alignment | {"policy": policy})


def captions_of_set(
    caption_set: pd.DataFrame,
    image_set: dict[str, Any],
    settings: GeneratorSettings,
    alignment: AlignmentSettings,
    as_many_as: ImageSet | None,
) -> pd.DataFrame:
    """Returns the first captions, as many as the set's numbers ask for."""
    amounts = amounts_of(image_set, as_many_as)
    number = amounts["num_captions"] or len(caption_set)
    if amounts["num_images"] is not None:
        # the policy takes a share of them
        drawn = amounts["num_images"] / (1 - alignment.policy.drop_share)
        number = min(number, math.ceil(drawn / settings.images_per_caption))
    return caption_set.head(number)


def score_images(
    drawn_images: pd.DataFrame,
    caption_set: pd.DataFrame,
    place: Path,
    alignment: dict[str, Any],
    scorer_folder: Path,
) -> tuple[pd.DataFrame, int]:
    """Scores the images that have no score yet; returns the scores and how many were computed."""
    scorer = find_scorer(AlignmentSettings.read(alignment), scorer_folder)
    return _score(drawn_images, caption_set, place, scorer)


def _score(
    manifest: pd.DataFrame, caption_set: pd.DataFrame, place: Path, scorer: Scorer | None
) -> tuple[pd.DataFrame, int]:
    from stablerep.alignment.scores import no_scores, score_image_set

    if scorer is None:
        return no_scores(), 0
    texts = dict(zip(caption_set["caption_id"], caption_set["text"], strict=True))
    return score_image_set(manifest, texts, place, scorer)


def apply_policy(
    name: str,
    drawn_images: pd.DataFrame,
    drawn_scores: tuple[pd.DataFrame, int],
    caption_set: pd.DataFrame,
    place: Path,
    image_set: dict[str, Any],
    generator: dict[str, Any],
    alignment: dict[str, Any],
    scorer_folder: Path,
    **drawing: Any,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rejects images, draws further ones where the policy says so; returns the manifest and the ledger."""
    from stablerep.alignment.remake import apply_policy as apply

    attributes = drawn_images.attrs

    def draw(further: Mapping[str, Sequence[int]], keeps_spare: bool) -> tuple[pd.DataFrame, int]:
        nonlocal attributes
        manifest, ledger = generate_images(
            name,
            caption_set=caption_set,
            place=place,
            image_set=image_set,
            generator=generator,
            alignment=alignment,
            scorer_folder=scorer_folder,
            further=further,
            keeps_spare=keeps_spare,
            **drawing,
        )
        attributes = manifest.attrs
        return manifest, ledger["num_made_images"]

    def score(manifest: pd.DataFrame) -> tuple[pd.DataFrame, int]:
        return _score(manifest, caption_set, place, scorer)

    settings = alignment_of(name, alignment, image_set)
    scorer = find_scorer(settings, scorer_folder)
    scores, num_scored = drawn_scores
    images_per_caption = generator_of(name, generator, image_set).images_per_caption
    aligned = apply(drawn_images, scores, images_per_caption, settings.policy, draw, score)
    ledger = aligned.ledger | {"scorer_id": scorer.scorer_id if scorer else None}
    ledger["num_scored"] += num_scored
    aligned.manifest.attrs = attributes  # what the images cost
    return aligned.manifest, ledger


def inspect_images(
    name: str,
    image_manifest: pd.DataFrame,
    generation_ledger: dict[str, Any],
    alignment_ledger: dict[str, Any],
    caption_set: pd.DataFrame,
    takedowns: pd.DataFrame,
    evaluation_captions: pd.DataFrame,
    place: Path,
    corpus: dict[str, Any],
    image_set: dict[str, Any],
    generator: dict[str, Any],
    alignment: dict[str, Any],
    validation: dict[str, Any],
    data_docs: Path,
    as_many_as: ImageSet | None = None,
) -> ImageSet:
    """Measures every image, passes the set through the image gate, and finishes it.

    Raises:
        GateError: a rule of severity fail does not hold.
    """
    from pipelines.config.corpus import build_corpus
    from stablerep.generation.image_sets.inspect import inspect_images as inspect
    from stablerep.generation.image_sets.inspect import without_taken_down
    from stablerep.image_sets.generated_set import from_generator
    from stablerep.validation.gate import check_images

    settings = generator_of(name, generator, image_set)
    scoring = alignment_of(name, alignment, image_set)
    captions = captions_of_set(caption_set, image_set, settings, scoring, as_many_as)
    wanted = without_taken_down(captions, takedowns)
    images, of_captions = inspect(place, image_manifest, wanted, evaluation_captions["caption"])
    images = images.assign(wanted_size_px=settings.saved_size_px or settings.size_px)
    of_captions = of_captions.assign(num_wanted=settings.images_per_caption)
    gate = check_images(images, of_captions, validation, data_docs / name)
    spent = image_manifest.attrs.get("ledger", {})  # in all runs, also where this one drew nothing
    total = {"total_seconds": spent.get("seconds"), "total_made_images": spent.get("num_made_images")}
    facts = {"generation": generation_ledger | total, "alignment": alignment_ledger, "gate": gate}
    health = images[["caption_id", "image_index", *_HEALTH]].astype(dict.fromkeys(_HEALTH, "float64"))
    amounts = amounts_of(image_set, as_many_as)
    labels = build_corpus(corpus).labels_of(list(captions["text"]))
    return from_generator(name, image_manifest, health, captions, place, labels, amounts, facts)


def _check_scorer_fits(alignment: AlignmentSettings, generator: GeneratorSettings) -> None:
    """Refuses to reject another generator's images for the scores of the embedded scorer."""
    import logging

    from stablerep.errors import ConfigError

    embedded = alignment.scorer is not None and not alignment.scorer.get("folder")
    if not (embedded and generator.model_folder):
        return
    fault = (
        f"alignment.scorer: got the embedded scorer, which knows the embedded corpus alone, for images of "
        f"{generator.model_folder}; must be another. Add --params alignment=transformers_clip, or "
        "alignment=unscored."
    )
    if alignment.policy.rejects:
        raise ConfigError(fault)
    logging.getLogger(__name__).warning("%s Nothing is rejected, but the scores mean nothing", fault)
