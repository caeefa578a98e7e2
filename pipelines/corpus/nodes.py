"""Adapters of the corpus room."""

from typing import TYPE_CHECKING, Any

from pipelines.config.corpus import build_corpus, index_of

if TYPE_CHECKING:
    import pandas as pd


def index_corpus(corpus: dict[str, Any], previous_corpus_images: "pd.DataFrame | None") -> "pd.DataFrame":
    """Returns one row per real image of the corpus; files that did not change are not read again.

    Raises:
        DataError: the corpus has no images of its own, or they cannot be used.
    """
    return index_of(build_corpus(corpus), "corpus", previous_corpus_images)
