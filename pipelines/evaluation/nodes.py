"""Adapters of the evaluation room."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.evaluation import (
    build_evaluations,
    open_evaluation_set,
    rebuild_encoder,
    rebuild_text_tower,
    untrained_encoder,
)
from pipelines.run.items import evaluation_set_of, is_encoder

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.evaluation.text_tower import FrozenTextTower
    from stablerep.models.encoder import Encoder
    from stablerep.training.arms import TrainedArm

logger = logging.getLogger(__name__)

_NONE = "none"  # method and images of the references


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
    reporting: dict[str, Any],
    seeds: list[int],
    **others: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Evaluates every arm, the untrained encoder and raw pixels on every evaluation set.

    Args:
        features_work: features that were computed before are kept in it.
        evaluation: the section.
        evaluation_sets: the section.
        encoder: the section; its backbone without training is a reference.
        reporting: the section.
        seeds: of the experiment; the first one also seeds the resamples behind intervals.
        others: encoders and the tables of evaluation sets, by the names of their datasets.

    Returns:
        The metrics and the scores of each unit.
    """
    import pandas as pd

    from stablerep.evaluation.evaluation import evaluate
    from stablerep.evaluation.feature_store import FeatureStore
    from stablerep.evaluation.features import EncoderFeatures
    from stablerep.evaluation.subject import Subject

    arms = [value for name, value in others.items() if is_encoder(name)]
    evaluations = build_evaluations(evaluation)
    with_text = any(each.needs_text for each in evaluations)
    store, keys = FeatureStore(features_work), []
    metrics, units = [], []
    for name, entry in evaluation_sets.items():
        labelled, pixels = open_evaluation_set(name, entry, others[evaluation_set_of(name)])
        for tested in _all_tested(arms, encoder["backbone"], seeds[0], with_text):
            features = EncoderFeatures(tested.arm, tested.encoder, tested.config, labelled, pixels, store)
            subject = Subject(tested.arm, labelled, features, tested.text)
            scores = evaluate(subject, evaluations, reporting["num_bootstrap"], seeds[0])
            of_encoder: dict[str, Any] = {
                "seed": tested.seed,
                "method": tested.method,
                "images": tested.images,
            }
            metrics.append(scores.metrics.assign(**of_encoder, encoder=features.key.encoder))
            units.append(scores.units.assign(seed=tested.seed))
            keys.append(features.key)
    store.prune(keys)
    return pd.concat(metrics, ignore_index=True), pd.concat(units, ignore_index=True)


def _all_tested(
    arms: list[TrainedArm], backbone: Mapping[str, Any], seed: int, with_text: bool
) -> Iterator[_Tested]:
    """Yields the arms and the references; text towers are built where an evaluation needs them."""
    from stablerep.evaluation.features import RAW_PIXELS, UNTRAINED, RawPixels

    for arm in arms:
        encoder = rebuild_encoder(arm.encoder_config, arm.weights)
        text = None
        if with_text and arm.text is not None:
            text = rebuild_text_tower(arm.text, encoder.num_features)
        yield _Tested(arm.name, arm.seed, arm.method, arm.images, encoder, arm.encoder_config, text)
    yield _Tested(UNTRAINED, seed, _NONE, _NONE, untrained_encoder(backbone, seed), backbone)
    yield _Tested(RAW_PIXELS, seed, _NONE, _NONE, RawPixels(), {})
