"""Adapters of the validation room."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build_method

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def check_captions(
    curated_captions: "pl.LazyFrame",
    evaluation_captions: "pd.DataFrame",
    gates: dict[str, Any],
    batch: dict[str, Any],
    arms: list[dict[str, str]],
    methods: dict[str, Any],
    data_docs: Path,
) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Lets the captions pass as one table, with the gate's report, or raises GateError.

    Raises:
        DataError: they do not fill a batch; nothing is written then, Data Docs neither.
    """
    from stablerep.validation.gate import check_captions as check

    captions = curated_captions.collect().to_pandas()
    check_batch(len(captions), batch, arms, methods)
    report = check(captions, gates, data_docs, evaluation_captions["caption"])
    return captions, report


def check_batch(
    num_captions: int, batch: dict[str, Any], arms: list[dict[str, str]], methods: dict[str, Any]
) -> None:
    """Raises DataError where the captions do not fill a batch of every arm."""
    from stablerep.methods.batch import BatchSettings
    from stablerep.validation.batches import check_captions_fill_a_batch

    # built, for a setting that is left out has the class's default
    built = {name: build_method(name, methods[name]) for name in {arm["method"] for arm in arms}}
    method_of_arm = {arm["name"]: built[arm["method"]] for arm in arms}
    check_captions_fill_a_batch(num_captions, BatchSettings(**batch), method_of_arm)
