"""Adapters of the curation room."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build
from pipelines.config.corpus import build_corpus
from pipelines.config.generator import named_folder

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from stablerep.curation.curate import Curation
    from stablerep.curation.filter import CaptionFilter, CaptionRewriter
    from stablerep.curation.people.edits import Edits

_TEXTS = dict.fromkeys(("caption", "source", "licence"), "str")
WHERE = "conf/params/curation/<name>.yaml"


def curate_captions(
    corpus: dict[str, Any],
    takedowns: "pd.DataFrame",
    caption_edits: "Edits",
    generator_folder: Path,
    curation_work: Path,
    settings: dict[str, Any],
) -> "tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame, Curation]":
    """Runs the configured filters without what was taken down, then cuts to max_captions.

    Returns:
        The kept captions, the rejected ones, every score of the kept ones, and what each filter did. The
        tables are read from `curation_work` when they are saved.
    """
    import polars.selectors as cs

    from stablerep.curation.audit import Audit
    from stablerep.curation.curate import KEPT_COLUMNS, REJECTED_COLUMNS, curate
    from stablerep.curation.people.takedowns import TakenDown
    from stablerep.curation.settings import AuditSettings, Reading

    reading = Reading.read(settings["reading"])
    audit = Audit(AuditSettings.read(settings["audit"]))
    steps = filters_of(settings, generator_folder)
    batches = _validated(build_corpus(corpus).caption_batches(reading))
    curation = curate(batches, steps, curation_work, TakenDown(takedowns), caption_edits, audit)
    kept = curation.kept()
    return (
        kept.select(KEPT_COLUMNS),
        curation.rejected().select(REJECTED_COLUMNS),
        kept.select("caption_id", cs.starts_with("score.")),
        curation,
    )


def _validated(batches: "Iterator[pl.DataFrame]") -> "Iterator[pl.DataFrame]":
    """Holds what was read against its schema, a batch at a time: no catalog entry has the whole of it."""
    from stablerep.validation.schemas import CaptionsIn

    for batch in batches:
        sound = batch.filter(batch["fault"].is_null())
        CaptionsIn.validate(sound.select("caption", "source", "licence", "line").to_pandas().astype(_TEXTS))
        yield batch


def filters_of(settings: dict[str, Any], generator_folder: Path) -> "list[CaptionFilter | CaptionRewriter]":
    """Makes the filters of the section `curation`, the cut to max_captions last.

    Args:
        settings: the section; where a filter's model_folder is null, it is the catalog's generator.
        generator_folder: the catalog's.
    """
    from stablerep.curation.filters.limit import Limit

    filters = []
    for index, entry in enumerate(settings["filters"]):
        named = {}
        if "model_folder" in entry:
            named = {"model_folder": str(named_folder(entry["model_folder"], generator_folder))}
        filters.append(build(f"curation.filters[{index}]", {**entry, **named}, WHERE))
    if settings["max_captions"] is not None:
        filters.append(Limit(settings["max_captions"]))
    return filters


def describe_curation(
    curation: "Curation", settings: dict[str, Any]
) -> "tuple[dict[str, Any], pd.DataFrame, pd.DataFrame, str]":
    """Returns the ledger, the balance, the audit before and after, and the page."""
    from stablerep.curation.audit import Audit
    from stablerep.curation.ledger import audit_table, balance_table, ledger_of
    from stablerep.curation.settings import AuditSettings
    from stablerep.reporting.curation import build_curation_page

    audit = Audit(AuditSettings.read(settings["audit"]))
    ledger, balance = ledger_of(curation), balance_table(curation)
    pairs = audit_table(curation, audit)
    page = build_curation_page(curation, audit)
    return ledger, balance, pairs, page
