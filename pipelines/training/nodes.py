"""Adapters of the training room: a finished image set and settings in, a trained arm out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.utils import find_kedro_project

from pipelines.config.arm_plan import plan_arm, training_of
from pipelines.config.corpus import build_corpus
from pipelines.run.current import CURRENT

if TYPE_CHECKING:
    from stablerep.image_sets.image_set import ImageSet
    from stablerep.image_sets.source import ImageSource
    from stablerep.training.arms import TrainedArm


def open_images(
    name: str,
    image_set: ImageSet,
    corpus: dict[str, Any],
    encoder: dict[str, Any],
    arm: dict[str, Any],
    training: dict[str, Any],
) -> ImageSource:
    """Finds the pixels of an image set; real images are resized to the encoder's size."""
    from stablerep.image_sets.opening import open_image_set

    size_px = int(encoder["backbone"]["size_px"])
    cache_mib = training_of(name, arm, training).cache_mib
    return open_image_set(image_set, build_corpus(corpus), size_px, cache_mib)


def train_arm(
    name: str,
    seed: int,
    images: ImageSource,
    training_work: Path,
    arm: dict[str, Any],
    method: dict[str, Any],
    encoder: dict[str, Any],
    training: dict[str, Any],
    **compute: Any,
) -> TrainedArm:
    """Trains one arm of the experiment on its images, with one seed.

    Args:
        name: of the arm.
        seed: of weights, order and views.
        images: of its set, opened.
        training_work: checkpoints are kept in it.
        arm: its entry.
        method: the entry of its method.
        encoder: the section.
        training: the section.
        compute: for an arm with `as_much_compute_as`: `own_set`, `other_set` and the arm `other`.
    """
    from stablerep.training.arms import train_arm as train
    from stablerep.training.equal_compute import views_of_equal_compute

    settings = training_of(name, arm, training)
    if compute:
        views = views_of_equal_compute(**compute, views_per_step=settings.batch.num_views)
        settings = settings.changed(num_images=views, epochs=None)
    plan = plan_arm(name, arm, method, encoder, settings, seed, find_kedro_project(training_work) or Path())
    on_row = partial(CURRENT.tell, name, seed)
    return train(plan, images, training_work / f"seed_{seed}", on_row, CURRENT.stop)
