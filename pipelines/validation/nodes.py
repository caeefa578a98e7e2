"""Adapters of the validation room."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.batches import check_batches
from pipelines.config.caption_images import check_captions_of_images
from pipelines.config.corpus import build_corpus

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def check_captions(
    curated_captions: "pl.LazyFrame",
    evaluation_captions: "pd.DataFrame",
    validation: dict[str, Any],
    corpus: dict[str, Any],
    image_sets: dict[str, Any],
    arms: dict[str, Any],
    method: dict[str, Any],
    training: dict[str, Any],
    data_docs: Path,
) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Lets the captions pass as one table, with the gate's report, or raises GateError.

    Raises:
        DataError: they do not fill a batch, or images that arms need cannot be made of them; nothing is
            written then, Data Docs neither.
    """
    from stablerep.validation.gate import check_captions as check

    captions = curated_captions.collect().to_pandas()
    check_batches(len(captions), image_sets, arms, method, training, corpus)
    check_captions_of_images(list(captions["text"]), build_corpus(corpus), image_sets, arms, method)
    report = check(captions, validation, data_docs, evaluation_captions["caption"])
    return captions, report
