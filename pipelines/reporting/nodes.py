"""Adapters of the reporting room."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.chosen_scorer import find_scorer

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from stablerep.reporting.alignment import AlignmentSection
    from stablerep.training.arms import TrainedArm

# What the page shows of the configuration: all that shapes a figure on it.
CONFIGURATION_KEYS = (
    "experiment_name",
    "seed",
    "arms",
    "captions",
    "gates",
    "generation",
    "scoring",
    "model",
    "methods",
    "batch",
    "optimisation",
    "scenes",
    "probe",
)


def audit_images(
    accepted_images: "pd.DataFrame",
    curated_captions: "pl.LazyFrame",
    image_store: Path,
    scorer_folder: Path,
    curation: dict[str, Any],
    alignment: dict[str, Any],
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Audits images for bias by the scorer; two tables without a row where there is none."""
    from stablerep.alignment.audit import audit_pairs, audit_terms, no_rows, pick, read_terms
    from stablerep.alignment.settings import AlignmentSettings
    from stablerep.curation.audit import Audit
    from stablerep.curation.settings import AuditSettings
    from stablerep.storage.shards import read_images

    audit = Audit(AuditSettings.read(curation["audit"]))
    scorer = find_scorer(AlignmentSettings.read(alignment), scorer_folder)
    if scorer is None or not audit.terms:
        return no_rows()
    images, caption_ids = read_images(image_store, pick(accepted_images, audit.settings.num_images))
    by_id = _texts(curated_captions, caption_ids)
    texts = [by_id[each] for each in caption_ids]
    shown = read_terms(images, audit, scorer)
    return audit_terms(texts, shown, audit), audit_pairs(texts, shown, audit)


def build_report(
    metrics: "pd.DataFrame",
    hand_scores: "pd.DataFrame",
    accepted_images: "pd.DataFrame",
    image_manifest: "pd.DataFrame",
    alignment_ledger: dict[str, Any],
    image_store: Path,
    curated_captions: "pl.LazyFrame",
    rejected_captions: "pl.LazyFrame",
    caption_gate: dict[str, Any],
    image_gate: dict[str, Any],
    generation_ledger: dict[str, Any],
    stage_seconds: dict[str, float],
    image_audit: "pd.DataFrame",
    image_audit_pairs: "pd.DataFrame",
    **others: Any,
) -> str:
    """Writes the page; `others` are the configuration by key and the arms' encoders."""
    from stablerep.reporting.environment import describe_machine
    from stablerep.reporting.gallery import make_gallery, pick_images
    from stablerep.reporting.report import ReportContent
    from stablerep.reporting.report import build_report as build
    from stablerep.storage.lazy_tables import num_rows
    from stablerep.storage.shards import read_images

    configuration = {key: others[key] for key in CONFIGURATION_KEYS}
    encoders: list[TrainedArm] = [arm for name, arm in others.items() if name not in CONFIGURATION_KEYS]
    images, caption_ids = read_images(image_store, pick_images(accepted_images))
    content = ReportContent(
        experiment_name=configuration["experiment_name"],
        seed=configuration["seed"],
        metrics=metrics,
        hand_scores=hand_scores,
        histories={arm.name: arm.history for arm in encoders},
        num_bootstrap=configuration["probe"]["num_bootstrap"],
        num_accepted_images=len(accepted_images),
        gallery=make_gallery(images, caption_ids, _texts(curated_captions, caption_ids)),
        num_curated_captions=num_rows(curated_captions),
        rejected_captions=rejected_captions,
        gates={"captions": caption_gate, "images": image_gate},
        generation_ledger=generation_ledger,
        alignment=alignment_section(image_manifest, alignment_ledger, image_store, curated_captions),
        stage_seconds=stage_seconds,
        image_audit=image_audit,
        image_audit_pairs=image_audit_pairs,
        machine=describe_machine(),
        configuration=configuration,
    )
    return build(content)


def alignment_section(
    image_manifest: "pd.DataFrame",
    alignment_ledger: dict[str, Any],
    image_store: Path,
    curated_captions: "pl.LazyFrame",
) -> "AlignmentSection | None":
    """Returns the page's section on the scores; None where no image was scored."""
    from stablerep.reporting.alignment import make_section, pick_extremes
    from stablerep.storage.shards import read_images

    if image_manifest["alignment"].isna().all():
        return None
    extremes = pick_extremes(image_manifest)
    pictures = [(rows, read_images(image_store, rows)[0]) for rows in extremes]
    texts = _texts(curated_captions, {each for rows in extremes for each in rows["caption_id"]})
    return make_section(image_manifest, alignment_ledger, texts, pictures)


def _texts(captions: "pl.LazyFrame", caption_ids: Iterable[str]) -> dict[str, str]:
    """Returns caption id -> text, of these captions alone: all of them may not fit into memory."""
    import polars as pl

    wanted = captions.filter(pl.col("caption_id").is_in(list(caption_ids)))
    return dict(wanted.select("caption_id", "text").collect().rows())
