"""Encoders to accuracies on real scenes of held-out hands.

Probes learn from scenes of fit hands, their settings are chosen on scenes of validation hands, and
scenes of held-out hands are scored once. No hand is in two of the three.
Legend: N images, F features.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from stablerep.digit_scenes.scenes import (
    ATTRIBUTES,
    NUM_CLASSES,
    Scenes,
    draw_scenes,
    draw_scenes_per_hand,
)
from stablerep.errors import ConfigError, TrainingError
from stablerep.evaluation.bootstrap import accuracy_per_hand, interval_over_hands
from stablerep.evaluation.features import extract_features
from stablerep.evaluation.knn import find_neighbours
from stablerep.evaluation.linear_probe import Standardiser, fit_linear_probe
from stablerep.evaluation.settings import ProbeSettings, SceneSettings

logger = logging.getLogger(__name__)

LINEAR_PROBE = "linear_probe"
KNN = "knn"
METRICS = (LINEAR_PROBE, KNN)
RAW_PIXELS = "raw_pixels"
UNTRAINED = "untrained"
REFERENCES = (RAW_PIXELS, UNTRAINED)
SPLITS = ("train", "validation", "test")  # scenes of fit, validation and held-out hands
FEATURE_COLUMNS = ("arm", "method", "images", "split", "hand_id", *ATTRIBUTES, "features")
NONE = "none"  # method and images of the references
METRIC_COLUMNS = (
    "arm",
    "method",
    "images",
    "attribute",
    "metric",
    "value",
    "low",
    "high",
    "num_hands",
    "validation",
    "probe_c",
)


@dataclass(frozen=True)
class Origin:
    """Where an encoder came from.

    Attributes:
        method: the loss it was trained with.
        images: what it saw: synthetic, real or drawn.
    """

    method: str = NONE
    images: str = NONE


@dataclass(frozen=True)
class _Choice:
    """What validation hands say of one attribute and metric, and what is predicted of the test images."""

    validation: float
    probe_c: float
    predicted: np.ndarray  # (N,) classes of the test images


def draw_probe_scenes(scenes: SceneSettings, seed: int) -> tuple[Scenes, Scenes]:
    """Draws the scenes that probes learn from and those that they are chosen on."""
    train = draw_scenes(scenes.num_probe_train_scenes, "fit", "probe", seed)
    validation = draw_scenes_per_hand(scenes.num_validation_scenes_per_hand, "validation", "probe", seed)
    return train, validation


def extract_scene_features(
    encoders: Mapping[str, nn.Module],
    scenes: SceneSettings,
    seed: int,
    origins: Mapping[str, Origin] | None = None,
) -> pd.DataFrame:
    """Runs encoders, and raw pixels beside them, over the scenes of evaluation.

    Args:
        encoders: by arm; each maps (B, 3, 32, 32) float32 in [0, 1] to (B, F). Moved to the device
            and back to the CPU.
        scenes: how many scenes.
        seed: of the scenes; all encoders see the same ones.
        origins: by arm, for the table; `none` for those that it leaves out.

    Returns:
        A row an arm and scene, with `FEATURE_COLUMNS`: the label of each attribute, and in `features` an
        (F,) float32 array.

    Raises:
        ConfigError: an arm is called `raw_pixels`.
        TrainingError: an encoder's features are not finite.
    """
    if RAW_PIXELS in encoders:
        raise ConfigError(
            f"arms: got one called {RAW_PIXELS!r}; must be another name, this one is the reference's. "
            "Rename it in conf/params/experiment/<name>.yaml."
        )
    train, validation = draw_probe_scenes(scenes, seed)
    test = draw_scenes_per_hand(scenes.num_test_scenes_per_hand, "held_out", "probe", seed)
    parts = dict(zip(SPLITS, (train, validation, test), strict=True))
    tables = []
    for arm, encoder in {**encoders, RAW_PIXELS: nn.Flatten()}.items():
        origin = (origins or {}).get(arm, Origin())
        for split, part in parts.items():
            facts = {"arm": arm, "method": origin.method, "images": origin.images, "split": split}
            labels = {name: part.labels[name].numpy() for name in ATTRIBUTES}
            features = list(_features(arm, encoder, part))
            table = {**facts, "hand_id": part.hand_ids.numpy(), **labels, "features": features}
            tables.append(pd.DataFrame(table, columns=list(FEATURE_COLUMNS)))
    return pd.concat(tables, ignore_index=True)


def score_features(
    features: pd.DataFrame, probe: ProbeSettings, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores each arm's features by linear probe and nearest neighbours.

    Args:
        features: as `extract_scene_features` returns them.
        probe: how to score.
        seed: of resamples.

    Returns:
        metrics: a row an arm, attribute and metric, with `METRIC_COLUMNS`; accuracies in [0, 1],
            95 % intervals over hands.
        hand_scores: arm, attribute, metric, hand_id, accuracy.
    """
    rows: list[dict[str, object]] = []
    per_hand: list[pd.DataFrame] = []
    for arm, of_arm in features.groupby("arm", sort=False):
        started = time.monotonic()
        parts = dict(list(of_arm.groupby("split")))
        train, validation, test = (parts[split] for split in SPLITS)
        choices = _score((train, validation, test), probe)
        for (attribute, metric), choice in choices.items():
            correct = choice.predicted == test[attribute].to_numpy()
            scores = accuracy_per_hand(correct, test["hand_id"].to_numpy())
            interval = interval_over_hands(scores, probe.num_bootstrap, seed)
            key = {"arm": arm, "attribute": attribute, "metric": metric}
            row = {
                **key,
                "method": test["method"].iloc[0],
                "images": test["images"].iloc[0],
                "value": interval.value,
                "low": interval.low,
                "high": interval.high,
                "num_hands": interval.num_hands,
                "validation": choice.validation,
                "probe_c": choice.probe_c,
            }
            rows.append(row)
            per_hand.append(scores.reset_index().assign(**key))
        shown = choices[probe.attributes[0], LINEAR_PROBE]
        logger.info(
            "%s: %s probe %.1f %% on validation hands, %.0f s",
            arm, probe.attributes[0], 100 * shown.validation, time.monotonic() - started,
        )  # fmt: skip
    metrics = pd.DataFrame(rows, columns=list(METRIC_COLUMNS))
    columns = ["arm", "attribute", "metric", "hand_id", "accuracy"]
    return metrics, pd.concat(per_hand, ignore_index=True)[columns]


def validation_accuracy(encoder: nn.Module, scenes: SceneSettings, probe: ProbeSettings, seed: int) -> float:
    """Returns the linear probe's accuracy for the first attribute on validation hands, in [0, 1].

    What choices such as the guidance scale's are made on: held-out hands are not drawn at all.

    Raises:
        TrainingError: the encoder's features are not finite.
    """
    train, validation = draw_probe_scenes(scenes, seed)
    attribute = probe.attributes[0]
    x_train, x_validation = (_features("the encoder", encoder, part) for part in (train, validation))
    standardise = Standardiser(x_train)
    fitted = fit_linear_probe(
        (standardise(x_train), train.labels[attribute].numpy()),
        (standardise(x_validation), validation.labels[attribute].numpy()),
        probe.probe_c,
    )
    return fitted.validation_accuracy


def _features(arm: str, encoder: nn.Module, scenes: Scenes) -> np.ndarray:
    from accelerate import Accelerator

    device = Accelerator(cpu=not torch.cuda.is_available()).device
    features = extract_features(encoder.to(device), scenes.images)
    encoder.to("cpu")
    if not np.isfinite(features).all():
        bad = int((~np.isfinite(features)).any(axis=1).sum())
        raise TrainingError(
            f"arm {arm!r}: got features that are not finite for {bad} of {len(features)} scenes; must be "
            "none. Its training went wrong: lower optimisation.learning_rate and train it again."
        )
    return features


def _score(
    parts: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame], probe: ProbeSettings
) -> dict[tuple[str, str], _Choice]:
    train, validation, _ = parts
    x_train, x_validation, x_test = (np.stack(part["features"].tolist()) for part in parts)
    near_validation = find_neighbours(x_train, x_validation, probe.num_neighbours)
    near_test = find_neighbours(x_train, x_test, probe.num_neighbours)
    standardise = Standardiser(x_train)
    x_train, x_validation, x_test = (standardise(part) for part in (x_train, x_validation, x_test))
    choices: dict[tuple[str, str], _Choice] = {}
    for attribute in probe.attributes:
        y_train, y_validation = (part[attribute].to_numpy() for part in (train, validation))
        fitted = fit_linear_probe((x_train, y_train), (x_validation, y_validation), probe.probe_c)
        choices[attribute, LINEAR_PROBE] = _Choice(
            fitted.validation_accuracy, fitted.probe_c, fitted.predict(x_test)
        )
        num_classes = NUM_CLASSES[attribute]
        right = near_validation.vote(y_train, num_classes) == y_validation
        choices[attribute, KNN] = _Choice(
            float(right.mean()), float("nan"), near_test.vote(y_train, num_classes)
        )
    return choices
