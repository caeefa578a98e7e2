"""Adapters of the evaluation sets."""

from typing import TYPE_CHECKING, Any

from pipelines.config.corpus import build_evaluation_set, index_of, naming_evaluation_set

if TYPE_CHECKING:
    import pandas as pd


def index_evaluation_set(
    name: str,
    evaluation_set: dict[str, Any],
    previous: "pd.DataFrame | None",
    corpus_images: "pd.DataFrame | None" = None,
) -> "pd.DataFrame":
    """Returns one row per image, with its split; files that did not change are not read again.

    That the images have labels is checked before the run, see `pipelines.run.evaluation_checks`.

    Args:
        name: of the set.
        evaluation_set: its entry.
        previous: the set's table of an earlier run.
        corpus_images: the table of the corpus where an arm is trained on its images; they must not be
            tested on.

    Raises:
        ConfigError: the set has no images of its own.
        DataError: the set cannot be read, a split has no images, or too many of the images that are not for
            training are in the corpus's train split.
    """
    from stablerep.corpora.table_faults import check_shared_with

    corpus, key = build_evaluation_set(name, evaluation_set), f"evaluation_sets.{name}"
    with naming_evaluation_set(name, evaluation_set):
        table = index_of(corpus, key, previous)
        if corpus_images is not None and corpus.max_shared_share is not None:
            check_shared_with(corpus_images, table, corpus.max_shared_share, key)
    return table


def take_corpus_images(corpus_images: "pd.DataFrame") -> "pd.DataFrame":
    """Returns the corpus's table: an evaluation set that is the corpus itself is not read twice."""
    return corpus_images
