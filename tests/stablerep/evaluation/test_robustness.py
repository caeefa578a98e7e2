"""Robustness: a probe of clean images on corrupted ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from stablerep.errors import ConfigError
from stablerep.evaluation.corruptions import KINDS
from stablerep.evaluation.evaluation import choose_all, evaluate
from stablerep.evaluation.feature_store import FeatureStore
from stablerep.evaluation.features import encoder_subject
from stablerep.evaluation.linear_probe import LinearProbe
from stablerep.evaluation.robustness import Robustness
from stablerep.evaluation.subject import Subject
from stablerep.models.encoder import Encoder
from tests.stablerep.evaluation.sets import LabelledSet, RandomPixels, labelled_set, random, subject

SET = labelled_set()


class Levels(Encoder):
    """Features of an image: its mean, which contrast leaves; its deviation, which it does not; or nothing."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.size_px, self.num_features = what, 8, 1

    def forward(self, images: Tensor) -> Tensor:
        if self.what == "mean":
            return images.mean(dim=(1, 2, 3))[:, None]
        if self.what == "deviation":
            return images.std(dim=(1, 2, 3))[:, None]
        return torch.ones(len(images), 1)


def pixels_of(labels: np.ndarray) -> RandomPixels:
    """Returns images of two halves whose mean and whose contrast say the class."""
    pixels = RandomPixels(len(labels), 32, 32)
    for row, label in enumerate(labels):
        half = 10 * (1 + int(label))
        pixels.images[row] = 60 + 40 * int(label) - half
        pixels.images[row, :, 16:] += 2 * half
    return pixels


def subject_of(folder: Path, what: str, of_set: LabelledSet = SET) -> Subject:
    pixels = pixels_of(SET.table["label.shape"].to_numpy())
    return encoder_subject("net", Levels(what), {"what": what}, of_set, pixels, FeatureStore(folder))


def metrics_of(folder: Path, what: str) -> pd.Series:
    rows = evaluate(subject_of(folder, what), [Robustness("cifar10_c")], 20, 0).metrics
    return rows.set_index("metric")["value"]


def test_what_a_corruption_leaves_is_still_read_and_what_it_takes_is_not(tmp_path: Path) -> None:
    of_mean, of_deviation = metrics_of(tmp_path, "mean"), metrics_of(tmp_path, "deviation")
    assert of_mean["clean"] == of_deviation["clean"] == 1
    assert of_mean["contrast"] == of_mean["contrast_5"] == 1
    assert of_deviation["contrast_5"] < 0.5  # every image looks like the class of the least contrast


def test_a_collapsed_encoder_has_the_share_of_one_class_everywhere(tmp_path: Path) -> None:
    values = metrics_of(tmp_path, "nothing")
    assert values.nunique() == 1 and values.iloc[0] < 0.45  # chance is 0.25


def test_means_are_those_of_the_strengths(tmp_path: Path) -> None:
    values = metrics_of(tmp_path, "deviation")
    assert len(values) == 1 + 1 + 4 + 20
    for kind in KINDS:
        strengths = [values[f"{kind}_{strength}"] for strength in range(1, 6)]
        assert values[kind] == pytest.approx(np.mean(strengths))
    assert values["accuracy"] == pytest.approx(np.mean([values[kind] for kind in KINDS]))


def test_clean_images_are_scored_as_by_the_linear_probe(tmp_path: Path) -> None:
    arm = subject_of(tmp_path, "deviation")
    rows = evaluate(arm, [LinearProbe(), Robustness("cifar10_c")], 20, 0).metrics
    clean = rows[rows["metric"] == "clean"].iloc[0]
    probe = rows[rows["evaluation"] == "linear_probe"].iloc[0]
    same = ["value", "low", "high", "validation", "chosen"]
    assert clean[same].tolist() == probe[same].tolist()


def test_only_test_images_are_corrupted_and_each_corruption_is_computed_once(tmp_path: Path) -> None:
    before = metrics_of(tmp_path, "mean")
    splits = [path.name.split(".")[1] for path in tmp_path.glob("*.npy")]
    assert {split: splits.count(split) for split in splits} == {"train": 1, "validation": 1, "test": 21}
    pixels = pixels_of(SET.table["label.shape"].to_numpy())
    arm = encoder_subject("net", Levels("mean"), {"what": "mean"}, SET, pixels, FeatureStore(tmp_path))
    again = evaluate(arm, [Robustness("cifar10_c")], 20, 0).metrics.set_index("metric")["value"]
    assert again.equals(before) and pixels.num_read == 0


def test_scrambled_test_labels_change_no_choice(tmp_path: Path) -> None:
    table = SET.table.copy()
    rows = SET.rows("test")
    table.loc[rows, "label.shape"] = np.random.default_rng(5).permutation(table.loc[rows, "label.shape"])
    scrambled = replace(SET, table=table)
    found = [
        evaluate(subject_of(tmp_path, "deviation", of_set), [Robustness("cifar10_c")], 20, 0).metrics
        for of_set in (SET, scrambled)
    ]
    assert found[0][["validation", "chosen"]].equals(found[1][["validation", "chosen"]])
    assert not found[0]["value"].equals(found[1]["value"])


def test_features_alone_are_a_fault_of_ours() -> None:
    arm, evaluation = subject(SET, random(SET)), Robustness("cifar10_c")
    choices = choose_all(arm, [evaluation])
    with pytest.raises(ValueError, match="needs the images"):
        evaluation.score(choices["robustness"], arm.open_test(choices).unlabelled())


def test_an_unknown_benchmark_is_refused() -> None:
    with pytest.raises(ConfigError, match="evaluation.robustness.benchmark: got 'imagenet'; must be one of"):
        Robustness("imagenet")
