"""Adapters of the evaluation sets."""

from typing import TYPE_CHECKING, Any

from pipelines.config.corpus import build_evaluation_set, index_of, naming_evaluation_set

if TYPE_CHECKING:
    import pandas as pd


def index_evaluation_set(
    name: str, evaluation_set: dict[str, Any], previous: "pd.DataFrame | None"
) -> "pd.DataFrame":
    """Returns one row per image, with its split; files that did not change are not read again.

    That the images have labels is checked before the run, see `pipelines.run.evaluation_checks`.

    Raises:
        ConfigError: the set has no images of its own.
        DataError: the set cannot be read, or a split has no images.
    """
    corpus = build_evaluation_set(name, evaluation_set)
    with naming_evaluation_set(name, evaluation_set):
        return index_of(corpus, f"evaluation_sets.{name}", previous)


def take_corpus_images(corpus_images: "pd.DataFrame") -> "pd.DataFrame":
    """Returns the corpus's table: an evaluation set that is the corpus itself is not read twice."""
    return corpus_images
