"""The protocol: every choice before the test split, scores over units."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from stablerep.errors import ConfigError
from stablerep.evaluation.calibration import Calibration
from stablerep.evaluation.evaluation import (
    METRIC_COLUMNS,
    UNIT_COLUMNS,
    Choice,
    Evaluation,
    Measured,
    choose_all,
    evaluate,
    scores_of_validation_units,
)
from stablerep.evaluation.few_shot import FewShot
from stablerep.evaluation.knn import NearestNeighbours
from stablerep.evaluation.linear_probe import LinearProbe
from stablerep.evaluation.sgd_probe import SgdProbe
from stablerep.evaluation.subject import Prompts, Split, Unlabelled
from stablerep.evaluation.weighted_knn import WeightedNearestNeighbours
from tests.stablerep.evaluation.sets import NUM, labelled_set, perfect, random, subject

EVALUATIONS = [LinearProbe(), NearestNeighbours(5)]
ALL = [
    *EVALUATIONS,
    WeightedNearestNeighbours([5, 20]),
    SgdProbe(num_epochs=20),
    FewShot(num_episodes=5),
    Calibration(),
]
SET = labelled_set()


class Constant(Evaluation):
    """Predicts one class, and notes what it is given."""

    name = "constant"
    version = 7

    def __init__(self) -> None:
        self.seen: list[str] = []

    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        self.seen.append(f"choose {len(train.features)} {len(validation.features)}")
        return {task: Choice(0.5, {"class": 2}, None) for task in train.tasks}

    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        self.seen.append(f"score {len(images.features)}")
        return {task: np.full(len(images.features), 2) for task in choices}


class OfText(Constant):
    name = "of_text"
    needs_text = True


class ByTwoMetrics(Constant):
    """Also measures a share of wrong images, and the distance of the accuracy from one half."""

    name = "by_two_metrics"

    def measure(self, choice: Choice, predicted: np.ndarray, right: np.ndarray) -> dict[str, Measured]:
        correct = (predicted == right).astype(float)
        return {
            "accuracy": Measured(correct),
            "error": Measured(1 - correct),
            "distance": Measured(correct[:, None] - 0.5, lambda means: np.abs(means).sum(axis=-1)),
        }


class Tower:
    def embed_texts(self, texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 2), np.float32)

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        return features


@pytest.mark.parametrize(
    "evaluation", [each for each in ALL if each.ranks_encoders], ids=lambda each: each.name
)
def test_perfect_random_and_collapsed_embeddings(evaluation: Evaluation) -> None:
    collapsed = np.ones((len(SET.table), 3))
    values = {}
    for arm, features in {"perfect": perfect(SET), "random": random(SET), "flat": collapsed}.items():
        metrics = evaluate(subject(SET, features, arm), [evaluation], 50, 0).metrics
        assert metrics["metric"].str.startswith("accuracy").all()
        values[arm] = metrics["value"]
    assert (values["perfect"] == 1).all()
    assert (values["random"] < 0.45).all()  # chance is 0.25, of 90 images
    assert (values["flat"] < 0.45).all()


def test_a_row_per_task_and_evaluation_with_what_was_chosen() -> None:
    labels = SET.table["label.shape"].to_numpy()
    two = labelled_set({"shape": labels, "parity": labels % 2})
    scores = evaluate(subject(two, random(two)), EVALUATIONS, 50, 0)
    assert tuple(scores.metrics.columns) == METRIC_COLUMNS
    assert tuple(scores.units.columns) == UNIT_COLUMNS
    keys = scores.metrics[["arm", "set", "task", "evaluation"]].to_numpy().tolist()
    assert keys == [
        ["arm", "shapes", task, name] for name in ("linear_probe", "knn") for task in ("shape", "parity")
    ]
    chosen = [json.loads(text) for text in scores.metrics["chosen"]]
    assert [set(each) for each in chosen] == [{"inverse_strength"}] * 2 + [set()] * 2
    assert (scores.metrics["num_images"] == NUM["test"]).all()
    assert (scores.metrics["low"] <= scores.metrics["value"]).all()
    assert (scores.metrics["value"] <= scores.metrics["high"]).all()
    assert set(scores.metrics["metric"]) == {"accuracy"}


def test_one_evaluation_gives_several_metrics_over_the_same_resamples() -> None:
    arm = subject(SET, random(SET))
    scores = evaluate(arm, [ByTwoMetrics(), Constant()], 200, 0)
    assert scores.metrics["metric"].tolist() == ["accuracy", "error", "distance", "accuracy"]
    accuracy, error, distance, alone = scores.metrics.to_dict("records")
    same = ("value", "low", "high", "num_units", "num_images", "validation", "chosen")
    assert [accuracy[name] for name in same] == [alone[name] for name in same]
    assert error["value"] == pytest.approx(1 - accuracy["value"])
    assert (error["low"], error["high"]) == pytest.approx((1 - accuracy["high"], 1 - accuracy["low"]))
    # all resamples are below one half, so the distance is one half less the accuracy
    assert accuracy["high"] < 0.5
    assert distance["value"] == pytest.approx(0.5 - accuracy["value"])
    assert (distance["low"], distance["high"]) == pytest.approx(
        (0.5 - accuracy["high"], 0.5 - accuracy["low"])
    )
    assert np.isnan([error["validation"], distance["validation"]]).all()


def test_metrics_that_are_means_have_a_score_of_each_unit() -> None:
    scores = evaluate(subject(SET, random(SET)), [ByTwoMetrics()], 10, 0)
    units = scores.units.pivot(index="unit", columns="metric", values="score")
    assert list(units.columns) == ["accuracy", "error"]
    assert np.allclose(units.sum(axis=1), 1)
    assert len(units) == scores.metrics["num_units"].iloc[0]


def test_the_scores_of_validation_units_are_of_the_first_metric() -> None:
    arm = subject(SET, random(SET))
    per_unit = scores_of_validation_units(
        arm, ByTwoMetrics(), choose_all(arm, [ByTwoMetrics()])["by_two_metrics"]
    )
    right = (SET.table["label.shape"] == 2)[SET.rows("validation")]
    assert per_unit.tolist() == right.groupby(SET.table["unit"]).mean().tolist()


def test_values_are_the_means_of_the_unit_scores() -> None:
    scores = evaluate(subject(SET, random(SET)), EVALUATIONS, 50, 0)
    means = scores.units.groupby("evaluation")["score"].mean()
    for row in scores.metrics.itertuples():
        assert row.value == pytest.approx(means[row.evaluation])
        assert row.num_units == len(set(SET.table["unit"].iloc[SET.rows("test")]))


def test_units_count_alike_however_many_images_they_have() -> None:
    table = SET.table.copy()
    table["unit"] = "many"
    table.loc[int(SET.rows("test")[0]), "unit"] = "one"
    grouped = replace(SET, table=table)
    metrics = evaluate(subject(grouped, random(grouped)), [Constant()], 50, 0).metrics
    right = (SET.table["label.shape"].to_numpy() == 2)[SET.rows("test")]
    assert metrics["value"].item() == pytest.approx((right[0] + right[1:].mean()) / 2)
    assert metrics["num_units"].item() == 2


def test_every_evaluation_chooses_before_the_test_split_is_opened(
    caplog: pytest.LogCaptureFixture,
) -> None:
    opened: list[str] = []
    features = random(SET)
    arm = subject(SET, features)
    arm._read_features = lambda split: (opened.append(split), features[SET.rows(split)])[1]
    first, second = Constant(), Constant()
    second.name = "second"
    for each in (first, second):
        each.seen = opened
    with caplog.at_level(logging.INFO):
        evaluate(arm, [first, second], 10, 0)
    assert opened == ["train", "validation", "choose 240 60", "choose 240 60", "test", "score 90", "score 90"]
    assert arm.opened_after == ("constant", "second")
    assert caplog.text.count("test split of shapes opened, after the choices of constant, second") == 1


def test_the_test_split_cannot_be_opened_before_a_choice() -> None:
    arm = subject(SET, random(SET))
    for nothing in ({}, {"knn": {}}):
        with pytest.raises(ValueError, match="opens after every choice; got no choice"):
            arm.open_test(nothing)
    assert arm.opened_after == ()


def test_the_test_split_is_opened_once() -> None:
    arm = subject(SET, random(SET))
    evaluate(arm, [Constant()], 10, 0)
    with pytest.raises(ValueError, match="was opened before, after the choices of constant"):
        evaluate(arm, EVALUATIONS, 10, 0)


def test_choices_alone_leave_the_test_split_closed() -> None:
    features = random(SET)
    arm = subject(SET, features)
    choices = choose_all(arm, EVALUATIONS)
    assert arm.opened_after == ()
    validation = evaluate(subject(SET, features), EVALUATIONS, 10, 0).metrics["validation"]
    assert validation.tolist() == [choices[name]["shape"].validation for name in choices]


def test_scrambled_test_labels_and_features_change_no_choice() -> None:
    features = random(SET)
    before = evaluate(subject(SET, features), ALL, 10, 0).metrics
    rows = SET.rows("test")
    table = SET.table.copy()
    table.loc[rows, "label.shape"] = np.random.default_rng(5).permutation(table["label.shape"].iloc[rows])
    scrambled = replace(SET, table=table)
    features = features.copy()
    features[rows] = 9 * np.random.default_rng(6).normal(size=features[rows].shape)
    after = evaluate(subject(scrambled, features), ALL, 10, 0).metrics
    assert before[["validation", "chosen"]].equals(after[["validation", "chosen"]])
    assert not before["value"].equals(after["value"])


@pytest.mark.parametrize("evaluation", ALL, ids=lambda each: each.name)
def test_images_of_unknown_label_are_left_out_of_that_task_alone(evaluation: Evaluation) -> None:
    labels = SET.table["label.shape"].to_numpy()
    unknown = np.random.default_rng(3).random(len(labels)) < 0.4
    # what the unknown images are labelled must not matter: the set without them scores the same
    mixed = labelled_set({"shape": labels, "part": np.where(unknown, -1, labels)})
    features = perfect(SET) + random(SET, 4)
    scores = evaluate(subject(mixed, features), [evaluation], 10, 0).metrics.groupby("task").first()
    alone = evaluate(subject(SET, features), [evaluation], 10, 0).metrics.iloc[0]
    fewer = replace(SET, table=SET.table[~unknown].reset_index(drop=True))
    kept = evaluate(subject(fewer, features[~unknown]), [evaluation], 10, 0).metrics.iloc[0]
    same = ["value", "validation", "num_images", "num_units", "chosen"]
    assert scores.loc["shape", same].tolist() == alone[same].tolist()
    assert scores.loc["part", same].tolist() == kept[same].tolist()


def test_an_evaluation_of_text_is_left_out_without_a_text_tower(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        scores = evaluate(subject(SET, random(SET)), [OfText()], 10, 0)
    assert "arm: no of_text, it has no text tower" in caplog.text
    assert not len(scores.metrics) and tuple(scores.units.columns) == UNIT_COLUMNS
    with_text = evaluate(subject(SET, random(SET), text=Tower()), [OfText()], 10, 0)
    assert with_text.metrics["evaluation"].tolist() == ["of_text"]
    assert with_text.metrics["version"].tolist() == [7]


def test_an_evaluation_is_a_function_of_its_seed() -> None:
    first, again, other = (
        evaluate(subject(SET, random(SET)), EVALUATIONS, 50, seed).metrics for seed in (0, 0, 1)
    )
    assert first.equals(again)
    assert first["value"].equals(other["value"])
    assert not first["low"].equals(other["low"])


def test_one_name_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="evaluations: got knn, knn"):
        evaluate(subject(SET, random(SET)), [NearestNeighbours(), NearestNeighbours(3)], 10, 0)


def test_features_of_another_number_of_images_are_refused() -> None:
    arm = subject(SET, random(SET))
    arm._read_features = lambda split: np.zeros((3, 2))
    with pytest.raises(ValueError, match="3 features of 240 train images"):
        arm.open_train()
