"""Zero-shot classification."""

import numpy as np
import pandas as pd
import pytest
import torch

from stablerep.errors import ConfigError
from stablerep.evaluation.evaluation import evaluate
from stablerep.evaluation.labelled_set import LabelledSet
from stablerep.evaluation.subject import Prompts, Split, Subject, Unlabelled
from stablerep.evaluation.zero_shot import ZeroShot, embed_classes
from tests.stablerep.evaluation.sets import CLASSES, labelled_set, subject


class Tower:
    """Embeds a text as the sum of the directions of its words."""

    def __init__(self, directions: dict[str, list[float]]) -> None:
        self.directions = directions
        self.texts: list[str] = []
        self.num_embedded = 0

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        self.texts += texts
        return unit([sum(np.array(self.directions[word]) for word in text.split()) for text in texts])

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        self.num_embedded += 1
        return unit(features)


def unit(vectors: list[list[float]] | np.ndarray) -> np.ndarray:
    rows = np.asarray(vectors, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def axes(names: tuple[str, ...] = CLASSES) -> dict[str, list[float]]:
    """Returns an axis for each class; other words have no direction."""
    eye = {name: np.eye(len(names))[place].tolist() for place, name in enumerate(names)}
    return eye | dict.fromkeys(("photo", "of", "drawn"), [0.0] * len(names))


def set_with_prompts(num_wrong: int = 0) -> tuple[LabelledSet, np.ndarray]:
    """Returns a set and its features: the axis of the class, of another class for wrong test images."""
    plain = labelled_set()
    labels = plain.table["label.shape"].to_numpy().copy()
    labels[plain.rows("test")[:num_wrong]] += 1
    table = plain.table.assign(unit=plain.table["key"])
    made = LabelledSet("shapes", {"shape": CLASSES}, {"shape": ("{} drawn", "{}")}, table)
    return made, np.eye(4)[labels % 4]


@pytest.mark.parametrize("num_wrong", [0, 18, 90])
def test_accuracy_of_separable_images_is_the_share_that_lies_at_its_class(num_wrong: int) -> None:
    of_set, features = set_with_prompts(num_wrong)
    scores = evaluate(subject(of_set, features, text=Tower(axes())), [ZeroShot()], 200, 0)
    row = scores.metrics.iloc[0]
    assert row["value"] == pytest.approx(1 - num_wrong / 90)
    assert row["validation"] == 1
    assert (row["evaluation"], row["version"], row["metric"], row["chosen"]) == (
        "zero_shot", 1, "accuracy", "{}",
    )  # fmt: skip
    assert row["low"] <= row["value"] <= row["high"]
    assert (row["low"] < row["high"]) == (num_wrong == 18)
    assert len(scores.units) == 90


def test_random_and_collapsed_embeddings_are_at_chance() -> None:
    of_set, _ = set_with_prompts()
    for features in (
        np.random.default_rng(0).normal(size=(len(of_set.table), 4)),
        np.ones((len(of_set.table), 4)),
    ):
        metrics = evaluate(subject(of_set, features, text=Tower(axes())), [ZeroShot()], 10, 0).metrics
        assert metrics["value"].item() < 0.45  # chance is 0.25, of 90 images


def test_a_class_is_the_mean_of_the_unit_embeddings_of_its_prompts() -> None:
    words = {"cat": [2.0, 0.0], "dog": [0.0, 1.0], "big": [0.0, 2.0], "small": [1.0, 0.0]}
    tower = Tower(words)
    found = embed_classes(tower, ("cat", "dog"), ("big {}", "small {}"))
    assert tower.texts == ["big cat", "small cat", "big dog", "small dog"]
    half = 0.5**0.5
    expected = [[half + 1, half], [half, 1 + half]]  # (1,1)/sqrt 2 and (1,0); (0,1) and (1,1)/sqrt 2
    np.testing.assert_allclose(found, unit(expected), rtol=1e-6)
    assert found.dtype == np.float32


def test_classes_and_predictions_are_those_of_open_clips_own_computation() -> None:
    """As `open_clip.build_zero_shot_classifier` computes, with the steps of its loop over batches of classes.

    The texts of a class are embedded and brought to length 1, averaged and brought to length 1 again; the
    weights are their transpose, and logits are 100 times the cosines.
    """
    rng = np.random.default_rng(0)
    words = {word: rng.normal(size=8).tolist() for word in ("cat", "dog", "emu", "a", "photo", "of", "big")}
    classes, templates = ("cat", "dog", "emu"), ("a photo of a {}", "a big {}", "{}")
    tower = Tower(words)
    columns = []
    for name in classes:  # a batch of one class
        texts = [template.format(name) for template in templates]
        embeddings = torch.from_numpy(tower.embed_texts(texts)).reshape(1, len(templates), -1)
        mean = embeddings.mean(dim=1)
        columns.append((mean / mean.norm(dim=1, keepdim=True)).T)
    weights_DC = torch.cat(columns, dim=1)
    features = rng.normal(size=(40, 8)).astype(np.float32)
    images = torch.nn.functional.normalize(torch.from_numpy(features), dim=-1)
    theirs = (100.0 * images @ weights_DC).argmax(dim=1)
    np.testing.assert_allclose(embed_classes(tower, classes, templates), weights_DC.T.numpy(), rtol=1e-5)
    labels = {"animal": np.zeros(40, np.int64)}
    split = Split(features, labels, {"animal": classes})
    choices = ZeroShot().choose(split, split, Prompts(tower, {"animal": templates}))
    assert ZeroShot().score(choices, split.unlabelled())["animal"].tolist() == theirs.tolist()
    assert len(set(theirs.tolist())) == 3


def test_prompts_that_cancel_leave_finite_embeddings() -> None:
    tower = Tower({"cat": [0.0, 0.0], "up": [0.0, 1.0], "down": [0.0, -1.0]})
    assert embed_classes(tower, ("cat",), ("up {}", "down {}")).tolist() == [[0, 0]]


def test_every_task_has_its_own_prompts_and_images_are_embedded_once() -> None:
    features = np.array([[1, 0], [0, 1], [1, 0.2]], np.float32)
    labels = {"shape": np.array([0, 1, 1]), "size": np.array([1, 0, -1])}
    split = Split(features, labels, {"shape": ("cat", "dog"), "size": ("big", "small")})
    words = {"cat": [1.0, 0.0], "dog": [0.0, 1.0], "big": [0.0, 3.0], "small": [3.0, 0.0]}
    tower = Tower(words)
    prompts = Prompts(tower, {"shape": ("{}",), "size": ("{}", "{}")})
    evaluation = ZeroShot()
    choices = evaluation.choose(split, split, prompts)
    assert tower.texts == ["cat", "dog", "big", "big", "small", "small"]
    assert choices["shape"].validation == pytest.approx(2 / 3)
    assert choices["size"].validation == 1, "an image of unknown label does not count"
    assert tower.num_embedded == 1
    predicted = evaluation.score(choices, Unlabelled(features))
    assert tower.num_embedded == 2
    assert {task: found.tolist() for task, found in predicted.items()} == {
        "shape": [0, 1, 0],
        "size": [1, 0, 1],
    }


def test_train_images_change_nothing() -> None:
    of_set, features = set_with_prompts(30)
    other = features.copy()
    other[of_set.rows("train")] = 7.0
    one, two = (
        evaluate(subject(of_set, each, text=Tower(axes())), [ZeroShot()], 10, 0).metrics
        for each in (features, other)
    )
    pd.testing.assert_frame_equal(one, two)


def test_a_task_without_prompts_is_an_error_that_names_it() -> None:
    plain = labelled_set()
    arm = Subject("arm", plain, lambda split: np.ones((len(plain.rows(split)), 4)), Tower(axes()))
    with pytest.raises(ConfigError, match="zero_shot: task 'shape' has no prompts; it must have at least"):
        evaluate(arm, [ZeroShot()], 10, 0)
