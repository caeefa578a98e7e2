"""Adapters of image sets that nothing is generated for: the corpus's own images, rendered ones, mixtures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.corpus import build_corpus
from pipelines.image_sets.amounts import amounts_of

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.image_sets.image_set import ImageSet


def take_corpus_images(
    name: str,
    corpus_images: pd.DataFrame,
    takedowns: pd.DataFrame,
    place: Path,
    corpus: dict[str, Any],
    image_set: dict[str, Any],
    seeds: list[int],
    evaluation_captions: pd.DataFrame,
    validation: dict[str, Any],
    data_docs: Path,
    as_many_as: ImageSet | None = None,
) -> ImageSet:
    """Takes the real images of the corpus's training split, and passes them through the gate."""
    from stablerep.image_sets.corpus_set import from_corpus

    amounts = amounts_of(image_set, as_many_as)
    known = build_corpus(corpus)
    made = from_corpus(name, corpus_images, place, takedowns, amounts, seeds[0], known.name)
    made = replace(made, facts=made.facts | {"size_px": image_set.get("size_px")})
    return _through_the_gate(made, evaluation_captions, validation, data_docs)


def render_images(
    name: str,
    caption_set: pd.DataFrame,
    takedowns: pd.DataFrame,
    place: Path,
    corpus: dict[str, Any],
    image_set: dict[str, Any],
    seeds: list[int],
    evaluation_captions: pd.DataFrame,
    validation: dict[str, Any],
    data_docs: Path,
    as_many_as: ImageSet | None = None,
) -> ImageSet:
    """Has the corpus render what each caption says, and passes the images through the gate."""
    from stablerep.generation.image_sets.inspect import without_taken_down
    from stablerep.image_sets.rendered_set import from_renderer

    wanted = without_taken_down(caption_set, takedowns)
    amounts = amounts_of(image_set, as_many_as)
    made = from_renderer(name, wanted, build_corpus(corpus), place, amounts, seeds[0])
    return _through_the_gate(made, evaluation_captions, validation, data_docs)


def mix_image_sets(
    name: str,
    place: Path,
    image_set: dict[str, Any],
    seeds: list[int],
    as_many_as: ImageSet | None = None,
    **parts: ImageSet,
) -> ImageSet:
    """Mixes shares of other sets."""
    from stablerep.image_sets.mixture import mix

    sets = {part: parts[f"part_{part}"] for part in image_set["of"]}
    amounts = amounts_of(image_set, as_many_as)
    return mix(name, sets, image_set["of"], place, amounts, seeds[0], image_set.get("shares_of", "images"))


def _through_the_gate(
    image_set: ImageSet, evaluation_captions: pd.DataFrame, validation: dict[str, Any], data_docs: Path
) -> ImageSet:
    from stablerep.image_sets.inspection import inspect_table
    from stablerep.validation.gate import check_real_images

    table = inspect_table(image_set, evaluation_captions["caption"])
    gate = check_real_images(table, validation, data_docs / image_set.name)
    return replace(image_set, facts=image_set.facts | {"gate": gate})
