"""Adapters of the reporting room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.chosen_scorer import find_scorer
from pipelines.config.corpus import (
    build_corpus,
    build_evaluation_set,
    corpus_of_set,
    naming_evaluation_set,
)
from pipelines.reporting.learned_space import show_learned_space
from pipelines.reporting.record import read_images_of, record_run
from pipelines.run.items import arm_and_seed, arm_namespace, evaluation_set_of, image_set_of, is_encoder

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.corpora.corpus import Corpus
    from stablerep.image_sets.image_set import ImageSet
    from stablerep.reporting.alignment import AlignmentSection
    from stablerep.reporting.content import EvaluationSetFacts, ImageSetFacts
    from stablerep.reporting.guidance import GuidanceStudy
    from stablerep.reporting.record import RunRecord
    from stablerep.training.arms import TrainedArm

# pages beside the report
_LINKS = {
    "all of curation and its audit": "curation.html",
    "the gate in full": "data_docs/captions/index.html",
}
# What the page shows of the configuration: all that shapes a figure on it.
CONFIGURATION_KEYS = (
    "experiment_name",
    "size_name",
    "seeds",
    "corpus",
    "curation",
    "validation",
    "generator",
    "alignment",
    "encoder",
    "method",
    "training",
    "image_sets",
    "arms",
    "evaluation_sets",
    "evaluation",
    "references",
    "reporting",
)


def audit_images(
    image_set: ImageSet, scorer_folder: Path, curation: dict[str, Any], alignment: dict[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Audits generated images for bias by the scorer; two tables without rows where there is none."""
    from stablerep.alignment.audit import audit_pairs, audit_terms, no_rows, pick, read_terms
    from stablerep.alignment.settings import AlignmentSettings
    from stablerep.curation.audit import Audit
    from stablerep.curation.settings import AuditSettings
    from stablerep.storage.shards import read_images

    audit = Audit(AuditSettings.read(curation["audit"]))
    scorer = find_scorer(AlignmentSettings.read(alignment), scorer_folder)
    if scorer is None or not audit.terms:
        return no_rows()
    images, caption_ids = read_images(image_set.folder, pick(image_set.images, audit.settings.num_images))
    by_id = _texts(image_set)
    texts = [by_id[each] for each in caption_ids]
    shown = read_terms(images, audit, scorer)
    return audit_terms(texts, shown, audit), audit_pairs(texts, shown, audit)


def build_report(
    metrics: pd.DataFrame,
    unit_scores: pd.DataFrame,
    stage_seconds: dict[str, float],
    image_set_metrics: pd.DataFrame,
    near_images: pd.DataFrame,
    features_work: Path,
    previous_guidance_trials: pd.DataFrame | None,
    previous_guidance_recommendation: dict[str, Any] | None,
    **others: Any,
) -> tuple[str, RunRecord]:
    """Returns the page, and the record for comparisons with other runs.

    Args:
        metrics: of every encoder.
        unit_scores: likewise.
        stage_seconds: node -> seconds.
        image_set_metrics: of every image set and the reference.
        near_images: pairs of similar images.
        features_work: features that the evaluation computed.
        previous_guidance_trials: of the last study of the guidance scale; None if there was none.
        previous_guidance_recommendation: likewise.
        others: the configuration by key, image sets, evaluation sets and encoders by their datasets' names,
            and, where there are any, the captions' tables and the audit's.
    """
    from stablerep.reporting.content import ReportContent
    from stablerep.reporting.environment import describe_machine
    from stablerep.reporting.report import build_report as build
    from stablerep.storage.lazy_tables import num_rows

    configuration = {key: others[key] for key in CONFIGURATION_KEYS}
    corpus = build_corpus(configuration["corpus"])
    sets = {name: others[image_set_of(name)] for name in configuration["image_sets"]}
    tables = {name: others[evaluation_set_of(name)] for name in configuration["evaluation_sets"]}
    curated = others.get("curated_captions")
    encoders = {arm_and_seed(name): encoder for name, encoder in others.items() if is_encoder(name)}
    audits = {key: others[key] for key in ("image_audit", "image_audit_pairs") if key in others}
    content = ReportContent(
        experiment_name=configuration["experiment_name"],
        size=configuration["size_name"],
        seeds=configuration["seeds"],
        metrics=metrics,
        unit_scores=unit_scores,
        num_bootstrap=configuration["reporting"]["num_bootstrap"],
        image_sets=_describe_sets(sets, corpus, configuration),
        evaluation_sets=_describe_evaluation_sets(tables, configuration["evaluation_sets"]),
        arms=configuration["arms"],
        histories={key: encoder.history for key, encoder in encoders.items()},
        class_mentions=_class_mentions(sets, configuration["evaluation_sets"]),
        num_curated_captions=None if curated is None else num_rows(curated),
        rejected_captions=others.get("rejected_captions"),
        caption_gate=others.get("caption_gate"),
        set_metrics=image_set_metrics,
        near_images=near_images,
        guidance_study=_guidance_study(previous_guidance_trials, previous_guidance_recommendation),
        drawing_costs=_drawing_costs(sets),
        links=_LINKS if curated is not None else {},
        stage_seconds=stage_seconds,
        training_seconds=_training_seconds(stage_seconds, encoders),
        machine=describe_machine(),
        configuration=configuration,
        **audits,
    )
    learned = show_learned_space(content, encoders, tables, features_work)
    return build(replace(content, learned=learned)), record_run(content, sets, corpus)


def _guidance_study(
    trials: pd.DataFrame | None, recommendation: dict[str, Any] | None
) -> GuidanceStudy | None:
    from stablerep.reporting.guidance import GuidanceStudy

    if trials is None or recommendation is None:
        return None
    complete = trials[trials["state"] == "complete"]
    num_units = int(complete["unit_scores"].map(len).min())
    return GuidanceStudy(recommendation, len(complete), int(complete["seed"].nunique()), num_units)


def _drawing_costs(sets: Mapping[str, ImageSet]) -> dict[str, dict[str, Any]]:
    """Returns what the images of each generated set cost over all runs, from the ledger beside the set."""
    from stablerep.generation.accounts.ledger import Ledger

    return {
        name: Ledger(image_set.folder, None).total(image_set.facts["generation"]["generator_id"])
        for name, image_set in sets.items()
        if "generation" in image_set.facts
    }


def _training_seconds(
    stage_seconds: Mapping[str, float], encoders: Mapping[tuple[str, int], TrainedArm]
) -> dict[tuple[str, int], float]:
    """Returns (arm, seed) -> seconds of its node, if it was timed."""
    nodes = {key: f"{arm_namespace(*key)}.train_arm" for key in encoders}
    return {key: stage_seconds[name] for key, name in nodes.items() if name in stage_seconds}


def compare_versions(metrics: pd.DataFrame, **encoders: TrainedArm) -> tuple[dict[str, Any], str, str]:
    """Returns what DVC compares between versions of the experiment.

    Args:
        metrics: of every encoder.
        encoders: by the names of their datasets.

    Returns:
        Figures by arm, the same as CSV, and the losses of all arms as CSV.
    """
    from stablerep.reporting.tracked import curves_of, figures_by_arm, table_of_figures

    figures = figures_by_arm(metrics)
    histories = {arm_and_seed(name): encoder.history for name, encoder in encoders.items()}
    table, losses = table_of_figures(figures), curves_of(histories, "loss")
    return figures, table.to_csv(index=False), losses.to_csv(index=False)


def _texts(image_set: ImageSet) -> dict[str, str]:
    return dict(zip(image_set.captions["caption_id"], image_set.captions["text"], strict=True))


def _describe_sets(
    sets: Mapping[str, ImageSet], corpus: Corpus, configuration: dict[str, Any]
) -> dict[str, ImageSetFacts]:
    from stablerep.reporting.content import image_set_facts
    from stablerep.reporting.gallery import make_gallery, pick_captions, pick_images

    shown = pick_captions({name: image_set.images for name, image_set in sets.items()})
    size_px = int(configuration["encoder"]["backbone"]["size_px"])
    described = {}
    for name, image_set in sets.items():
        rows = pick_images(image_set.images, shown[name])
        own = corpus_of_set(name, configuration, corpus)
        pictures = read_images_of(image_set, rows, own, size_px)
        described[name] = image_set_facts(
            image_set.source,
            image_set.images,
            image_set.captions,
            image_set.facts,
            configuration["image_sets"][name],
            make_gallery(pictures, list(rows["caption_id"]), _texts(image_set)),
            _alignment_section(image_set),
        )
    return described


def _alignment_section(image_set: ImageSet) -> AlignmentSection | None:
    """Returns the page's section on a set's scores; None where no image was scored."""
    from stablerep.reporting.alignment import make_section, pick_extremes
    from stablerep.storage.shards import read_images

    manifest = image_set.manifest
    if manifest is None or manifest["alignment"].isna().all():
        return None
    pictures = [(rows, read_images(image_set.folder, rows)[0]) for rows in pick_extremes(manifest)]
    return make_section(manifest, image_set.facts["alignment"], _texts(image_set), pictures)


def _describe_evaluation_sets(
    tables: Mapping[str, pd.DataFrame], entries: Mapping[str, dict[str, Any]]
) -> dict[str, EvaluationSetFacts]:
    from stablerep.reporting.content import evaluation_set_facts

    described = {}
    for name, table in tables.items():
        corpus = build_evaluation_set(name, entries[name])
        with naming_evaluation_set(name, entries[name]):
            num_classes = {task: len(each.classes) for task, each in corpus.tasks().items()}
            described[name] = evaluation_set_facts(corpus.facts(table), num_classes)
    return described


def _class_mentions(
    sets: Mapping[str, ImageSet], entries: Mapping[str, dict[str, Any]]
) -> dict[tuple[str, str], float] | None:
    """Returns which share of the training captions names a class of each probed task."""
    from stablerep.corpora.corpus import share_naming_classes

    texts = sorted({text for image_set in sets.values() for text in image_set.captions["text"] if text})
    if not texts:
        return None
    return {
        (name, task): share_naming_classes(texts, each)
        for name, entry in entries.items()
        for task, each in build_evaluation_set(name, entry).tasks().items()
    }
