"""The report: one self-contained page that shows what a run found."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from stablerep.digit_scenes.scenes import NUM_CLASSES
from stablerep.errors import DataError
from stablerep.evaluation.bootstrap import Interval
from stablerep.evaluation.evaluate import LINEAR_PROBE
from stablerep.reporting import tables
from stablerep.reporting.alignment import AlignmentSection
from stablerep.reporting.audit import draw_gaps, skewed_pairs
from stablerep.reporting.figures import (
    SOURCE_COLOURS,
    SOURCE_TITLES,
    draw_accuracies,
    draw_histories,
)
from stablerep.reporting.gallery import GalleryEntry
from stablerep.reporting.inline import svg_address


@dataclass(frozen=True)
class ReportContent:
    """What a report is made of.

    Attributes:
        experiment_name: of the configuration.
        seed: of the run.
        metrics: as `evaluation.evaluate.evaluate_encoders` returns them.
        hand_scores: likewise.
        histories: by arm, as `training.loop.run_arm` returns them.
        num_bootstrap: resamples behind intervals.
        num_accepted_images: images that passed the gate.
        gallery: captions with their images.
        num_curated_captions: captions that every filter kept.
        rejected_captions: the other captions, with filter and reason.
        gates: title -> result, as `validation.gate` returns it.
        generation_ledger: as `generation.image_set.make_image_set` returns it.
        alignment: the scores; None where images were not scored.
        image_audit: see `stablerep.alignment.audit.audit_terms`; no row where images were not audited.
        image_audit_pairs: see `stablerep.alignment.audit.audit_pairs`.
        stage_seconds: node -> seconds; empty where nothing was measured.
        machine: what -> value, see `environment.describe_machine`.
        configuration: what the nodes were given.
    """

    experiment_name: str
    seed: int
    metrics: pd.DataFrame
    hand_scores: pd.DataFrame
    histories: Mapping[str, pd.DataFrame]
    num_bootstrap: int
    num_accepted_images: int
    gallery: list[GalleryEntry]
    num_curated_captions: int
    rejected_captions: pl.LazyFrame
    gates: Mapping[str, Mapping[str, Any]]
    generation_ledger: Mapping[str, Any]
    alignment: AlignmentSection | None = None
    image_audit: pd.DataFrame = field(default_factory=pd.DataFrame)
    image_audit_pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)


def build_report(content: ReportContent) -> str:
    """Returns the page as HTML; it refers to no other file and no network.

    Raises:
        DataError: there are no metrics, or hand scores that do not fit them.
    """
    if content.metrics.empty:
        raise DataError("metrics: got no row; must be one an arm. Run `kedro run --pipelines evaluation`.")
    attribute = str(content.metrics["attribute"].iloc[0])
    rows = tables.arm_rows(
        content.metrics, content.hand_scores, attribute, content.num_bootstrap, content.seed
    )
    sources = {row.arm: row.images for row in rows}
    accuracies = draw_accuracies(content.metrics, attribute, 1 / NUM_CLASSES[attribute])
    histories = draw_histories(content.histories, sources) if content.histories else None
    baseline = next(row for row in rows if row.arm == tables.baseline_of(content.metrics, attribute))
    template = _environment().get_template("report.html.j2")
    return template.render(
        content=content,
        attribute=attribute,
        rows=rows,
        baseline=baseline,
        rivals=_rivals(rows, baseline),
        linear_probe=LINEAR_PROBE,
        metric_titles=tables.METRIC_TITLES,
        attribute_table=tables.attribute_table(content.metrics, attribute),
        accuracies=svg_address(accuracies),
        audit_gaps=svg_address(draw_gaps(content.image_audit)) if len(content.image_audit) else None,
        skewed_pairs=skewed_pairs(content.image_audit_pairs) if len(content.image_audit_pairs) else [],
        alignment_histogram=svg_address(content.alignment.histogram) if content.alignment else None,
        histories=svg_address(histories) if histories is not None else None,
        rejections=tables.rejections(content.rejected_captions),
        stages=tables.stage_rows(content.stage_seconds),
        source_colours=SOURCE_COLOURS,
        source_titles=SOURCE_TITLES,
        num_hands=baseline.cells[LINEAR_PROBE].interval.num_hands,
    )


def _rivals(rows: list[tables.ArmRow], baseline: tables.ArmRow) -> list[tables.ArmRow]:
    """Returns the best arm on each source of images besides the baseline, references left out."""
    best: dict[str, tables.ArmRow] = {}
    for row in rows:
        if not row.reference and row is not baseline:
            best.setdefault(row.images, row)
    return list(best.values())


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("stablerep.reporting"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=lambda value: f"{100 * value:.1f}",
        points=lambda value: f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}"),
        bounds=_bounds,
        title=tables.title_of,
        words=lambda name: str(name).replace("_", " "),
        duration=_duration,
        brief=_brief,
        json=lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str),
    )
    return environment


def _bounds(interval: Interval, signed: bool = False) -> str:
    sign = "+" if signed else ""
    low, high = (f"{100 * value:{sign}.1f}" for value in (interval.low, interval.high))
    return f"{low} to {high}".replace("-", "\N{MINUS SIGN}")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def _brief(value: Any, num_characters: int = 90) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {each}" for name, each in value.items())
    else:
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= num_characters else text[:num_characters] + "…"
