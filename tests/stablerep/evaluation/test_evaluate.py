"""Encoders to accuracies."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from stablerep.digit_scenes.hands import load_hands
from stablerep.digit_scenes.scenes import Scenes
from stablerep.errors import ConfigError, TrainingError
from stablerep.evaluation import evaluate
from stablerep.evaluation.bootstrap import accuracy_per_hand
from stablerep.evaluation.settings import ProbeSettings, SceneSettings
from stablerep.validation.schemas import Features

SCENES = SceneSettings(300, 1, 1)
PROBE = ProbeSettings(5, (0.01, 1.0), 100, ("digit", "ink"))


def _evaluate(
    encoders: dict[str, nn.Module],
    scenes: SceneSettings,
    probe: ProbeSettings,
    seed: int,
    origins: dict[str, evaluate.Origin] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    features = evaluate.extract_scene_features(encoders, scenes, seed, origins)
    return evaluate.score_features(Features.validate(features), probe, seed)


class Collapsed(nn.Module):
    """Every image has the same features."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.ones(len(images), 4)


class Noise(nn.Module):
    """Features that have nothing to do with the image."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.randn(len(images), 8, generator=torch.Generator().manual_seed(len(images)))


class Broken(nn.Module):
    """Features that are not finite."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.full((len(images), 4), torch.nan)


@pytest.fixture
def labelled(monkeypatch: pytest.MonkeyPatch) -> type[nn.Module]:
    """Writes each scene's digit into its first pixel, and returns an encoder that reads it there."""
    original = {name: getattr(evaluate, name) for name in ("draw_scenes", "draw_scenes_per_hand")}

    def with_label(name: str):
        def draw(*args: int | str) -> Scenes:
            scenes = original[name](*args)
            scenes.images[:, 0, 0, 0] = scenes.labels["digit"] / 10
            return scenes

        return draw

    for name in original:
        monkeypatch.setattr(evaluate, name, with_label(name))

    class Perfect(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            digits = (images[:, 0, 0, 0] * 10).round().long()
            return torch.eye(10)[digits]

    return Perfect


def test_perfect_random_and_collapsed_embeddings(labelled: type[nn.Module]) -> None:
    encoders = {"perfect": labelled(), "random": Noise(), "collapsed": Collapsed()}
    metrics, hand_scores = _evaluate(
        encoders, SCENES, PROBE, 0, {"perfect": evaluate.Origin("stablerep", "synthetic")}
    )
    assert tuple(metrics.columns) == evaluate.METRIC_COLUMNS
    assert metrics["arm"].unique().tolist() == ["perfect", "random", "collapsed", "raw_pixels"]
    assert len(metrics) == 4 * 2 * 2
    digit = metrics[metrics["attribute"] == "digit"].set_index(["arm", "metric"])
    for metric in evaluate.METRICS:
        assert digit.loc["perfect", metric]["value"] == 1
        assert digit.loc["random", metric]["value"] < 0.2
        assert digit.loc["collapsed", metric]["value"] < 0.2
    assert digit.loc["perfect", "knn"][["method", "images"]].tolist() == ["stablerep", "synthetic"]
    assert digit.loc["raw_pixels", "knn"][["method", "images"]].tolist() == ["none", "none"]
    assert (metrics["low"] <= metrics["value"]).all()
    assert (metrics["value"] <= metrics["high"]).all()
    assert (metrics["num_hands"] == 450).all()
    assert metrics["probe_c"].isna().equals(metrics["metric"] == "knn")
    assert list(hand_scores.columns) == ["arm", "attribute", "metric", "hand_id", "accuracy"]
    assert set(hand_scores["hand_id"]) == set(load_hands("held_out").hand_ids.tolist())
    means = hand_scores.groupby(["arm", "metric", "attribute"])["accuracy"].mean()
    rows = metrics.set_index(["arm", "metric", "attribute"])["value"]
    np.testing.assert_allclose(means.sort_index(), rows.sort_index())


def test_held_out_scenes_change_neither_choice_nor_validation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, _ = _evaluate({"random": Noise()}, SCENES, PROBE, 0)
    original = evaluate.draw_scenes_per_hand

    def black(num: int, split: str, *seed: int | str) -> Scenes:
        scenes = original(num, split, *seed)
        if split == "held_out":
            scenes.images.zero_()
        return scenes

    monkeypatch.setattr(evaluate, "draw_scenes_per_hand", black)
    after, _ = _evaluate({"random": Noise()}, SCENES, PROBE, 0)
    same = ["arm", "attribute", "metric", "validation", "probe_c"]
    assert before[same].equals(after[same])
    assert not before["value"].equals(after["value"])


def test_validation_accuracy_never_draws_held_out_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = []
    for name in ("draw_scenes", "draw_scenes_per_hand"):
        original = getattr(evaluate, name)

        def watched(num: int, split: str, *seed: int | str, draw=original) -> Scenes:
            splits.append(split)
            return draw(num, split, *seed)

        monkeypatch.setattr(evaluate, name, watched)
    accuracy = evaluate.validation_accuracy(nn.Flatten(), SCENES, PROBE, 0)
    assert splits == ["fit", "validation"]
    metrics, _ = _evaluate({}, SCENES, PROBE, 0)
    row = metrics[(metrics["attribute"] == "digit") & (metrics["metric"] == "linear_probe")]
    assert row["validation"].item() == accuracy


def test_an_evaluation_is_a_function_of_its_seed() -> None:
    settings = ProbeSettings(5, (0.01,), 100, ("digit",))
    first, again, other = (_evaluate({}, SCENES, settings, seed)[1] for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


def test_features_that_are_not_finite_name_the_arm() -> None:
    with pytest.raises(TrainingError, match="arm 'simclr': .*not finite for 300 of 300"):
        _evaluate({"simclr": Broken()}, SCENES, PROBE, 0)


def test_the_reference_s_name_is_taken() -> None:
    with pytest.raises(ConfigError, match="raw_pixels"):
        _evaluate({"raw_pixels": Noise()}, SCENES, PROBE, 0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"attributes": ("digits",)}, "probe.attributes: got .*digits"),
        ({"probe_c": ()}, "probe.probe_c: got no value"),
        ({"probe_c": (0.0,)}, "probe.probe_c: got 0.0"),
        ({"num_neighbours": 0}, "probe.num_neighbours: got 0"),
    ],
)
def test_settings_out_of_range_name_their_key(setting: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ProbeSettings(**setting)


def test_accuracy_weighs_hands_alike() -> None:
    correct = np.array([True, True, True, False])
    assert accuracy_per_hand(correct, np.array([1, 1, 1, 2])).mean() == 0.5
