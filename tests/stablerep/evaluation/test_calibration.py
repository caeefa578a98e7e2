"""Calibration of the linear probe."""

import json

import numpy as np
import pytest

from stablerep.errors import ConfigError
from stablerep.evaluation.calibration import (
    Calibration,
    CalibrationSettings,
    calibration_error,
    fit_temperature,
    gaps_by_bin,
    log_probabilities,
    negative_log_likelihood,
)
from stablerep.evaluation.evaluation import evaluate
from stablerep.evaluation.linear_probe import LinearProbe
from tests.stablerep.evaluation.sets import labelled_set, perfect, random, subject

SET = labelled_set()


def _calibrated(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits, and labels that are drawn from their softmax."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(num, 4))
    chances = np.exp(log_probabilities(logits, 1.0)).cumsum(axis=1)
    return logits, (rng.random((num, 1)) > chances).sum(axis=1).clip(0, 3)


def test_calibration_error_by_hand() -> None:
    # two classes: the probability of the predicted one is 0.8 three times and 0.6 twice
    logits = np.log([[0.8, 0.2], [0.8, 0.2], [0.2, 0.8], [0.6, 0.4], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1, 0])
    gaps = gaps_by_bin(logits, labels, 1.0, 10)
    # at 0.8 two of three are right, at 0.6 none of two
    expected = 3 / 5 * abs(2 / 3 - 0.8) + 2 / 5 * 0.6
    assert float(calibration_error(gaps.mean(axis=0))) == pytest.approx(expected)


def test_calibration_error_is_that_of_a_loop_over_bins() -> None:
    logits, labels = _calibrated(500, 1)
    probabilities = np.exp(log_probabilities(logits, 0.7))
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    gaps = gaps_by_bin(logits, labels, 0.7, 15)
    assert float(calibration_error(gaps.mean(axis=0))) == pytest.approx(expected)


def test_likelihood_is_sklearns_log_loss() -> None:
    from sklearn.metrics import log_loss

    logits, labels = _calibrated(300, 2)
    ours = negative_log_likelihood(logits, labels, 1.7)
    theirs = log_loss(labels, np.exp(log_probabilities(logits, 1.7)), labels=range(4))
    assert ours.mean() == pytest.approx(theirs)


def test_labels_drawn_from_the_probabilities_are_calibrated_and_the_temperature_is_found() -> None:
    logits, labels = _calibrated(20_000, 3)
    assert float(calibration_error(gaps_by_bin(logits, labels, 1.0, 15).mean(axis=0))) < 0.02
    for factor in (0.5, 1.0, 3.0):
        found = fit_temperature(factor * logits, labels)
        assert found == pytest.approx(factor, rel=0.05)
        grid = np.geomspace(0.1, 10, 400)
        best = min(grid, key=lambda t: negative_log_likelihood(factor * logits, labels, t).mean())
        assert found == pytest.approx(best, rel=0.02)


def test_a_temperature_changes_no_prediction() -> None:
    logits, _ = _calibrated(200, 4)
    predicted = log_probabilities(logits, 0.1).argmax(axis=1)
    assert (predicted == logits.argmax(axis=1)).all()


def test_the_probe_is_that_of_linear_probe_and_the_temperature_is_of_validation_images() -> None:
    features = perfect(SET) + 0.6 * random(SET, 4)
    # an overconfident probe: test and validation images are noisier than those that it is fitted on
    rest = SET.table["split"].to_numpy() != "train"
    features[rest] += 0.8 * np.random.default_rng(3).normal(size=(rest.sum(), 4))
    probes = [LinearProbe([1.0]), Calibration([1.0])]
    metrics = evaluate(subject(SET, features), probes, 50, 0).metrics.set_index("metric")
    assert metrics.index.tolist() == [
        "accuracy",
        "calibration_error",
        "calibration_error_after_scaling",
        "nll",
        "nll_after_scaling",
    ]
    chosen = json.loads(metrics.loc["nll", "chosen"])
    assert chosen["inverse_strength"] == 1.0
    assert chosen["temperature"] > 1.1
    assert metrics.loc["nll_after_scaling", "value"] < metrics.loc["nll", "value"]
    before, after = (
        metrics.loc["calibration_error", "value"],
        metrics.loc["calibration_error_after_scaling", "value"],
    )
    assert after < before
    assert (metrics["low"] <= metrics["value"]).all() and (metrics["value"] <= metrics["high"]).all()


def test_perfect_random_and_collapsed_embeddings() -> None:
    values = {}
    for arm, features in (
        ("perfect", perfect(SET)),
        ("random", random(SET)),
        ("flat", np.ones((len(SET.table), 3))),
    ):
        metrics = evaluate(subject(SET, features, arm), [Calibration()], 20, 0).metrics
        values[arm] = metrics.set_index("metric")["value"]
    assert values["perfect"]["nll_after_scaling"] < 0.01
    assert values["perfect"]["calibration_error_after_scaling"] < 0.01
    for arm in ("random", "flat"):  # nothing is known: the likelihood is that of guessing one of four
        assert values[arm]["nll_after_scaling"] == pytest.approx(np.log(4), abs=0.1)
        assert values[arm]["calibration_error_after_scaling"] < 0.15


def test_likelihood_has_scores_of_units_and_the_calibration_error_has_none() -> None:
    scores = evaluate(subject(SET, random(SET)), [Calibration()], 20, 0)
    assert set(scores.units["metric"]) == {"nll", "nll_after_scaling"}


def test_a_class_that_the_train_images_lack_has_no_likelihood_but_a_finite_one() -> None:
    labels = SET.table["label.shape"].to_numpy()
    none = np.where((SET.table["split"] == "train") & (labels == 3), -1, labels)
    lacking = labelled_set({"shape": none})
    metrics = evaluate(subject(lacking, random(lacking)), [Calibration()], 20, 0).metrics
    assert np.isfinite(metrics["value"]).all()
    assert metrics.set_index("metric").loc["nll", "value"] > 100


def test_settings_out_of_bounds_name_their_key_and_file() -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.calibration\.num_bins: got 1; must be >= 2\. Set it"):
        Calibration(num_bins=1)
    with pytest.raises(ConfigError, match=r"evaluation\.calibration\.tolerance: got 0\.0; must be > 0"):
        Calibration(tolerance=0.0)


def test_a_changed_default_is_a_new_version() -> None:
    pinned = {1: {"inverse_strengths": (0.001, 0.01, 0.1, 1.0), "tolerance": 1e-6, "num_bins": 15}}
    assert CalibrationSettings().model_dump() == pinned[Calibration.version]
