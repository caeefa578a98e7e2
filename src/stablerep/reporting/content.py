"""What a report is made of: plain tables and facts, with no knowledge of what images show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl

from stablerep.errors import DataError
from stablerep.reporting.alignment import AlignmentSection
from stablerep.reporting.gallery import GalleryEntry

if TYPE_CHECKING:
    from stablerep.reporting.guidance import GuidanceStudy
    from stablerep.reporting.learned_space import LearnedSpace

NONE = "none"  # the images of references, and the method of references without training
UNTRAINED, RAW_PIXELS = "untrained", "raw_pixels"
# is given the classes that other methods have to find
SUPERVISED_METHODS = ("supcon", "supervised")
GENERATED, CORPUS, RENDERED, MIXTURE = "generated", "corpus", "rendered", "mixture"


@dataclass(frozen=True)
class ImageSetFacts:
    """What the page shows of an image set.

    Attributes:
        source: generated, corpus, rendered or mixture.
        num_images: images that may be trained on.
        num_captions: captions with at least one of these images; 0 where images have no captions.
        facts: of its ledger. `generation` (the generator's ledger), `alignment` (the policy's ledger) and
            `gate` (the gate's report) have their own places on the page; plain values are listed.
        gallery: captions with their images.
        alignment: the alignment scores; None where images were not scored.
        settings: its entry in the configuration.
    """

    source: str
    num_images: int
    num_captions: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    gallery: Sequence[GalleryEntry] = ()
    alignment: AlignmentSection | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_reference(self) -> bool:
        """Whether it stands for a perfect generator: several rendered images for each caption."""
        return self.source == RENDERED and self.num_images > self.num_captions


def image_set_facts(
    source: str,
    images: pd.DataFrame,
    captions: pd.DataFrame,
    facts: Mapping[str, Any],
    settings: Mapping[str, Any],
    gallery: Sequence[GalleryEntry] = (),
    alignment: AlignmentSection | None = None,
) -> ImageSetFacts:
    """Counts what the page shows of a finished image set.

    Args:
        source: generated, corpus, rendered or mixture.
        images: one row per image that may be trained on, with `caption_id`.
        captions: with `caption_id` and `text`; the text is empty for an image without a caption.
        facts: see `ImageSetFacts`.
        settings: see `ImageSetFacts`.
        gallery: see `ImageSetFacts`.
        alignment: see `ImageSetFacts`.
    """
    with_text = captions.loc[captions["text"] != "", "caption_id"]
    num_captions = int(with_text[with_text.isin(images["caption_id"])].nunique())
    return ImageSetFacts(source, len(images), num_captions, facts, gallery, alignment, settings)


@dataclass(frozen=True)
class EvaluationSetFacts:
    """What the page shows of an evaluation set.

    Attributes:
        num_images: split -> images.
        num_classes: task -> classes.
        given_splits: splits that the data came with; the others were made by a hash of the unit.
        num_units: statistical units: images of one unit are not independent.
        num_unreadable: images that were left out; None where that is not known.
        num_shared: `<split>/<split>` -> images of the second that are byte for byte in the first.
    """

    num_images: Mapping[str, int]
    num_classes: Mapping[str, int]
    given_splits: Sequence[str] = ()
    num_units: int = 0
    num_unreadable: int | None = None
    num_shared: Mapping[str, int] = field(default_factory=dict)

    @property
    def made_splits(self) -> list[str]:
        """Splits that were made by a hash."""
        return [split for split in self.num_images if split not in self.given_splits]

    @property
    def unit(self) -> str:
        """What intervals resample: images, or groups of them where several images belong to one unit."""
        return "images" if self.num_units >= sum(self.num_images.values()) else "groups of images"


def evaluation_set_facts(facts: Mapping[str, Any], num_classes: Mapping[str, int]) -> EvaluationSetFacts:
    """Takes over what a corpus says of its image table.

    Args:
        facts: `num_images_per_split`, `given_splits`, `num_units`, `num_unreadable` and `num_shared`.
        num_classes: task -> classes.
    """
    return EvaluationSetFacts(
        num_images=dict(facts["num_images_per_split"]),
        num_classes=dict(num_classes),
        given_splits=tuple(facts["given_splits"]),
        num_units=int(facts["num_units"]),
        num_unreadable=facts["num_unreadable"],
        num_shared=dict(facts["num_shared"]),
    )


@dataclass(frozen=True)
class ReportContent:
    """What a report is made of.

    Attributes:
        experiment_name: of the configuration.
        seeds: of the run; the first one also decides the resamples behind intervals.
        metrics: one row per arm, seed, evaluation set, task, evaluation and metric: `arm`, `seed`, `method`,
            `images`, `set`, `task`, `evaluation`, `metric`, `value`, `low`, `high`,
            `num_units`. Values are shares. References have the images `none`; those without training also
            have the method `none`.
        unit_scores: `arm`, `seed`, `set`, `task`, `evaluation`, `metric`, `unit`, `score`.
        num_bootstrap: resamples behind intervals.
        image_sets: by name; all that `metrics` names.
        evaluation_sets: by name; all that `metrics` names.
        arms: name -> `method`, `images`, `training` (overrides of the section `training`).
        histories: (arm, seed) -> `images`, `loss`, `embedding_std`.
        class_mentions: (evaluation set, task) -> share of the training captions that name a class of the
            task; None where there are no captions.
        size: of the configuration; `smoke` for runs whose figures say nothing about accuracy.
        num_curated_captions: captions that every filter kept; None where no captions were curated.
        rejected_captions: the other captions, with `filter`, `reason`, `line` and `text`.
        caption_gate: the report of the gate on captions.
        image_audit: see `stablerep.alignment.audit.audit_terms`; empty where images were not audited.
        image_audit_pairs: see `stablerep.alignment.audit.audit_pairs`.
        set_metrics: see `stablerep.validation.schemas.ImageSetMetrics`; empty where nothing was measured.
        near_images: see `stablerep.validation.schemas.NearImages`; empty likewise.
        guidance_study: the last study of the guidance scale; None if there was none.
        learned: neighbours and map; None if they were not made.
        drawing_costs: generated set -> what its images cost in all runs, see
            `stablerep.generation.accounts.ledger.Ledger.total`.
        links: title -> address, of pages beside this one.
        stage_seconds: node -> seconds; empty where nothing was measured.
        training_seconds: (arm, seed) -> seconds of its training, where it was timed.
        machine: see `environment.describe_machine`.
        configuration: what the nodes were given.
    """

    experiment_name: str
    seeds: Sequence[int]
    metrics: pd.DataFrame
    unit_scores: pd.DataFrame
    num_bootstrap: int
    image_sets: Mapping[str, ImageSetFacts]
    evaluation_sets: Mapping[str, EvaluationSetFacts]
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    histories: Mapping[tuple[str, int], pd.DataFrame] = field(default_factory=dict)
    class_mentions: Mapping[tuple[str, str], float] | None = None
    size: str = "full"
    num_curated_captions: int | None = None
    rejected_captions: pl.LazyFrame | None = None
    caption_gate: Mapping[str, Any] | None = None
    image_audit: pd.DataFrame = field(default_factory=pd.DataFrame)
    image_audit_pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    set_metrics: pd.DataFrame = field(default_factory=pd.DataFrame)
    near_images: pd.DataFrame = field(default_factory=pd.DataFrame)
    guidance_study: "GuidanceStudy | None" = None
    learned: "LearnedSpace | None" = None
    drawing_costs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    training_seconds: Mapping[tuple[str, int], float] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)

    def source_of(self, images: str) -> str:
        """Returns the source of an image set, or `none` for encoders that no arm trained.

        Raises:
            DataError: the page knows no such image set.
        """
        if images == NONE:
            return NONE
        if images not in self.image_sets:
            raise DataError(
                f"metrics: an arm was trained on the image set {images!r}; the report has "
                f"{', '.join(self.image_sets) or 'none'}. Run the evaluation again."
            )
        return self.image_sets[images].source

    def guidance_of(self, images: str) -> float | None:
        """Returns the guidance scale of a generated image set; None for others, and if it is not known."""
        image_set = self.image_sets.get(images)
        if image_set is None or image_set.source != GENERATED:
            return None
        of_all = self.configuration.get("generator", {}).get("guidance_scale")
        scale = image_set.settings.get("guidance_scale", of_all)
        return None if scale is None else float(scale)

    def is_reference(self, method: str, images: str) -> bool:
        """Whether an arm is no part of the comparison, but a bound to compare with.

        References are encoders that no arm trained, methods that are given the classes, and images of a
        perfect generator.
        """
        if images == NONE or method in SUPERVISED_METHODS:
            return True
        return images in self.image_sets and self.image_sets[images].is_reference
