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
from pipelines.run.items import arm_and_seed, evaluation_set_of, image_set_of, is_encoder

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from stablerep.corpora.corpus import Corpus
    from stablerep.image_sets.image_set import ImageSet
    from stablerep.reporting.alignment import AlignmentSection
    from stablerep.reporting.content import EvaluationSetFacts, ImageSetFacts

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
    **others: Any,
) -> str:
    """Writes the page.

    Args:
        metrics: of every encoder.
        unit_scores: likewise.
        stage_seconds: node -> seconds.
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
        histories={
            arm_and_seed(name): encoder.history for name, encoder in others.items() if is_encoder(name)
        },
        class_mentions=_class_mentions(sets, configuration["evaluation_sets"]),
        num_curated_captions=None if curated is None else num_rows(curated),
        rejected_captions=others.get("rejected_captions"),
        caption_gate=others.get("caption_gate"),
        stage_seconds=stage_seconds,
        machine=describe_machine(),
        configuration=configuration,
        **audits,
    )
    return build(content)


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
        pictures = _read(image_set, rows, corpus_of_set(name, configuration, corpus), size_px)
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


def _read(image_set: ImageSet, rows: pd.DataFrame, corpus: Corpus, size_px: int) -> list[Tensor]:
    """Reads some images of a set."""
    from stablerep.image_sets.opening import open_image_set

    source = open_image_set(replace(image_set, images=rows), corpus, size_px, 0.0)
    return [source.images.read(row) for row in range(len(rows))]


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
