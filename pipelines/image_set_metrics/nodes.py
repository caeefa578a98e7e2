"""The node that measures image sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.chosen_scorer import find_scorer
from pipelines.config.corpus import build_corpus, build_evaluation_set, corpus_of_set
from pipelines.config.evaluation import open_evaluation_set
from pipelines.config.generator import named_folder
from pipelines.config.set_metrics import build_extractor, build_set_metrics
from pipelines.run.items import evaluation_set_of, image_set_of
from stablerep.image_set_metrics.settings import SetComparisonSettings

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.corpora.corpus import Corpus
    from stablerep.evaluation.labelled_set import LabelledSet
    from stablerep.image_set_metrics.sample import Sample
    from stablerep.image_sets.image_set import ImageSet
    from stablerep.storage.pixels import Pixels


def measure_image_sets(
    set_features_work: Path,
    scorer_folder: Path,
    takedowns: pd.DataFrame,
    set_metrics: dict[str, Any],
    set_comparison: dict[str, Any],
    extractor: dict[str, Any],
    evaluation_sets: dict[str, Any],
    image_sets: dict[str, Any],
    corpus: dict[str, Any],
    alignment: dict[str, Any],
    audit: dict[str, Any],
    size_px: int,
    seeds: list[int],
    **others: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measures every image set against the reference.

    Args:
        set_features_work: cache of features.
        scorer_folder: the embedded scorer's.
        takedowns: training images that were taken down are not shown.
        set_metrics: the section.
        set_comparison: the section.
        extractor: the section.
        evaluation_sets: the section.
        image_sets: the section.
        corpus: the section.
        alignment: the section.
        audit: of the section `curation`; its terms make groups.
        size_px: of the encoder's images, to which a corpus's own are resized where their set names no size.
        seeds: of the experiment; the first one decides every draw.
        others: image sets and tables of evaluation sets by the names of their datasets, and what the
            generator learned from.

    Returns:
        The values, and the images that are near each other with their pictures.
    """
    from stablerep.alignment.settings import AlignmentSettings
    from stablerep.curation.audit import Audit
    from stablerep.curation.settings import AuditSettings
    from stablerep.evaluation.feature_store import FeatureStore
    from stablerep.image_set_metrics.features import FeatureBank
    from stablerep.image_set_metrics.measure import measure_image_sets as measure
    from stablerep.image_set_metrics.metric import Context

    settings = SetComparisonSettings.read(set_comparison)
    opened = {
        name: open_evaluation_set(name, entry, others[evaluation_set_of(name)])[0]
        for name, entry in evaluation_sets.items()
    }
    labelled = opened[settings.reference.evaluation_set or next(iter(opened))]
    splits: dict[str, Sample] = {}
    for name, each in opened.items():
        own = build_evaluation_set(name, evaluation_sets[name])
        splits |= _splits(each, own, settings.max_real_images)
    bank = FeatureBank(FeatureStore(set_features_work))
    context = Context(
        bank=bank,
        extractor=build_extractor(extractor, scorer_folder),
        reference=splits[f"{labelled.name}.{settings.reference.split}"],
        labelled=labelled,
        splits=splits,
        scorer=find_scorer(AlignmentSettings.read(alignment), scorer_folder),
        training_images=_training_images(image_sets, takedowns, scorer_folder, **others),
        seed=seeds[0],
    )
    sections = {"image_sets": image_sets, "evaluation_sets": evaluation_sets}
    samples = _samples(
        {name: others[image_set_of(name)] for name in image_sets},
        {name: corpus_of_set(name, sections, build_corpus(corpus)) for name in image_sets},
        build_evaluation_set(labelled.name, evaluation_sets[labelled.name]),
        settings.max_images,
        size_px,
    )
    measured = measure(
        samples,
        context,
        build_set_metrics(set_metrics),
        Audit(AuditSettings.read(audit)),
        settings.min_images,
    )
    bank.prune()
    return measured.values, measured.pairs


def _splits(labelled: LabelledSet, corpus: Corpus, max_images: int) -> dict[str, Sample]:
    from stablerep.evaluation.labelled_set import SPLITS
    from stablerep.image_set_metrics.sample import sample_split

    samples = [sample_split(labelled, split, corpus.pixels, max_images) for split in SPLITS]
    return {sample.name: sample for sample in samples}


def _samples(
    sets: Mapping[str, ImageSet],
    corpora: Mapping[str, Corpus],
    of_reference: Corpus,
    max_images: int,
    size_px: int,
) -> list[Sample]:
    """Chooses the images of each set that are measured.

    A set has the labels of its corpus's tasks; if the reference has other classes, labels come from the
    captions.

    Args:
        sets: by name.
        corpora: whose images each of them has, see `corpus_of_set`.
        of_reference: the reference's corpus.
        max_images: of each set.
        size_px: of images whose set names no size.
    """
    from stablerep.image_set_metrics.sample import sample_image_set
    from stablerep.image_sets.opening import open_image_set

    def pixels(image_set: ImageSet) -> Pixels:
        return open_image_set(image_set, corpora[image_set.name], size_px, 0.0).images

    tasks = of_reference.tasks()
    classes = {task: each.classes for task, each in tasks.items()}

    def sample(image_set: ImageSet) -> Sample:
        own = corpora[image_set.name].tasks()
        others = {
            task: of_reference
            for task, each in tasks.items()
            if task not in own or own[task].classes != each.classes
        }
        return sample_image_set(image_set, pixels, max_images, classes, others)

    return [sample(each) for each in sets.values()]


def _training_images(
    image_sets: Mapping[str, dict[str, Any]],
    takedowns: pd.DataFrame,
    scorer_folder: Path,
    model_folder: str | None,
    generator_name: str,
    training_images: dict[str, Any],
    pool_size: int,
    pretraining_seed: int,
    **others: Any,
) -> Callable[[int], Sample] | None:
    """Returns a function that samples the generator's training images.

    None if a set was drawn by a generator that the recipe of `pretraining` did not make, because the
    training images of other generators are not on the disk.
    """
    from stablerep.generation.pretraining.captioned_pixels import build_captioned_pixels, taken_down_in
    from stablerep.image_set_metrics.training_images import training_images as sampled

    del others
    generated = [each for each in image_sets.values() if each["source"] == "generated"]
    models = {each.get("model_folder", model_folder) for each in generated}
    # the folders of the project's own models lie beside each other
    made = scorer_folder.parent / generator_name
    folders = {named_folder(each, scorer_folder.parent / "generator").resolve() for each in models}
    if folders != {made.resolve()}:
        return None
    images = build_captioned_pixels(training_images).without(taken_down_in(takedowns))
    return sampled(images, generator_name, pool_size, pretraining_seed)
