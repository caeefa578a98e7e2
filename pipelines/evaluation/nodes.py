"""Adapters of the evaluation room."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.evaluation import (
    build_evaluations,
    open_evaluation_set,
    rebuild_encoder,
    rebuild_text_tower,
)
from pipelines.config.references import build_reference
from pipelines.run.items import evaluation_set_of, is_encoder

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.evaluation.labelled_set import LabelledSet
    from stablerep.evaluation.text_tower import FrozenTextTower
    from stablerep.models.encoder import Encoder
    from stablerep.storage.pixels import Pixels
    from stablerep.training.arms import TrainedArm

logger = logging.getLogger(__name__)

_NONE = "none"  # images of the references, and method of those that were not trained


@dataclass(frozen=True)
class _Tested:
    """An encoder that is evaluated, and where it comes from."""

    arm: str
    seed: int
    method: str
    images: str
    encoder: Encoder
    config: Mapping[str, Any]
    text: FrozenTextTower | None = None


def evaluate_encoders(
    features_work: Path,
    evaluation: dict[str, Any],
    evaluation_sets: dict[str, Any],
    encoder: dict[str, Any],
    references: dict[str, Any],
    reporting: dict[str, Any],
    seeds: list[int],
    **others: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Evaluates every arm and every reference on every evaluation set.

    Args:
        features_work: features that were computed before are kept in it.
        evaluation: the section.
        evaluation_sets: the section.
        encoder: the section; its backbone without training may be a reference.
        references: the section.
        reporting: the section.
        seeds: of the experiment; the first one also seeds the resamples behind intervals.
        others: encoders and the tables of evaluation sets, by the names of their datasets.

    Returns:
        The metrics and the scores of each unit.
    """
    import pandas as pd

    from stablerep.evaluation.evaluation import evaluate
    from stablerep.evaluation.feature_store import FeatureKey, FeatureStore
    from stablerep.evaluation.features import EncoderFeatures
    from stablerep.evaluation.subject import Subject

    arms = [value for name, value in others.items() if is_encoder(name)]
    evaluations = build_evaluations(evaluation)
    with_text = any(each.needs_text for each in evaluations)
    store, keys = FeatureStore(features_work), list[FeatureKey]()
    metrics, units = [], []
    for name, entry in evaluation_sets.items():
        labelled, pixels = open_evaluation_set(name, entry, others[evaluation_set_of(name)])
        compared = _references(references, encoder["backbone"], seeds[0], labelled, pixels)
        for tested in chain(_trained(arms, with_text), compared):
            features = EncoderFeatures(tested.arm, tested.encoder, tested.config, labelled, pixels, store)
            subject = Subject(tested.arm, labelled, features, tested.text, features.images)
            scores = evaluate(subject, evaluations, reporting["num_bootstrap"], seeds[0])
            of_encoder: dict[str, Any] = {
                "seed": tested.seed,
                "method": tested.method,
                "images": tested.images,
            }
            metrics.append(scores.metrics.assign(**of_encoder, encoder=features.key.encoder))
            units.append(scores.units.assign(seed=tested.seed))
            keys += features.used_keys
    store.prune(keys)
    return pd.concat(metrics, ignore_index=True), pd.concat(units, ignore_index=True)


def _trained(arms: list[TrainedArm], with_text: bool) -> Iterator[_Tested]:
    """Yields the arms; text towers are built where an evaluation needs them."""
    for arm in arms:
        encoder = rebuild_encoder(arm.encoder_config, arm.weights)
        text = None
        if with_text and arm.text is not None:
            text = rebuild_text_tower(arm.text, encoder.num_features)
        yield _Tested(arm.name, arm.seed, arm.method, arm.images, encoder, arm.encoder_config, text)


def _references(
    references: Mapping[str, Mapping[str, Any]],
    backbone: Mapping[str, Any],
    seed: int,
    labelled: LabelledSet,
    pixels: Pixels,
) -> Iterator[_Tested]:
    """Yields the references, each made for one evaluation set."""
    for name, reference in references.items():
        encoder, config = build_reference(name, reference, backbone, labelled, pixels, seed)
        method = reference["kind"] if reference["kind"] == "pretrained" else _NONE
        yield _Tested(name, seed, method, _NONE, encoder, config)
