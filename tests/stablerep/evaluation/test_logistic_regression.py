"""Logistic regression against scikit-learn's and against its own conditions of optimality."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from stablerep.evaluation.logistic_regression import LinearClassifier, fit_classifiers

STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def _problem(
    num_images: int, num_features: int, num_classes: int, distance: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns Gaussian classes around centres at a distance, with features of unequal scale."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=num_images)
    centres = np.random.default_rng(99).normal(size=(num_classes, num_features)) / np.sqrt(num_features)
    mixing = np.random.default_rng(98).normal(size=(num_features, num_features)) / np.sqrt(num_features)
    features = (distance * centres[labels] + rng.normal(size=(num_images, num_features))) @ mixing
    return (features / features.std(axis=0)).astype(np.float32), labels


@pytest.mark.parametrize(
    ("num_images", "num_features", "num_classes", "distance"),
    [
        pytest.param(600, 40, 5, 3.0, id="overlapping"),
        pytest.param(600, 40, 5, 30.0, id="separable"),
        pytest.param(150, 400, 4, 6.0, id="fewer images than features"),
        pytest.param(600, 30, 2, 2.0, id="two classes"),
        pytest.param(900, 60, 40, 8.0, id="many classes"),
    ],
)
def test_accuracies_are_within_a_third_of_a_point_of_scikit_learn(
    num_images: int, num_features: int, num_classes: int, distance: float
) -> None:
    train, labels = _problem(num_images, num_features, num_classes, distance)
    other, other_labels = _problem(2000, num_features, num_classes, distance, seed=1)
    for c, fitted in fit_classifiers(train, {"task": labels}, STRENGTHS):
        peer = LogisticRegression(C=c, max_iter=5000, tol=1e-6).fit(train, labels)
        ours = np.mean(fitted["task"].predict(other) == other_labels)
        assert ours == pytest.approx(peer.score(other, other_labels), abs=0.003), c


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("shape", [(300, 10), (40, 90)])
def test_weights_equal_those_of_scikit_learn(num_classes: int, shape: tuple[int, int]) -> None:
    train, labels = _problem(*shape, num_classes, 2.0)
    ((_, fitted),) = fit_classifiers(train, {"task": labels}, [0.05], tolerance=1e-12)
    peer = LogisticRegression(C=0.05, max_iter=9999, tol=1e-9).fit(train.astype(np.float64), labels)
    found = fitted["task"]
    weights, intercepts = found.weights, found.intercepts - found.intercepts.mean()
    if num_classes == 2:  # scikit-learn has one vector, for the difference
        weights, intercepts = weights[1:] - weights[:1], found.intercepts[1:] - found.intercepts[:1]
        np.testing.assert_allclose(weights, peer.coef_, atol=2e-4)
        np.testing.assert_allclose(intercepts, peer.intercept_, atol=2e-3)
    else:
        np.testing.assert_allclose(weights, peer.coef_, atol=2e-4)
        np.testing.assert_allclose(intercepts, peer.intercept_ - peer.intercept_.mean(), atol=2e-3)


def test_tasks_fitted_together_equal_tasks_fitted_alone() -> None:
    train, labels = _problem(500, 30, 6, 2.0)
    tasks = {"all": labels, "even": labels % 2, "third": labels % 3}
    together = dict(fit_classifiers(train, tasks, STRENGTHS, 1e-10))
    for task, of_task in tasks.items():
        for c, alone in fit_classifiers(train, {task: of_task}, STRENGTHS, 1e-10):
            np.testing.assert_allclose(together[c][task].weights, alone[task].weights, atol=2e-3)


def test_classes_keep_their_numbers_where_some_are_missing() -> None:
    train, labels = _problem(300, 20, 3, 30.0)
    numbers = np.array([2, 7, 9])[labels]
    ((_, fitted),) = fit_classifiers(train, {"task": numbers}, [1.0])
    assert fitted["task"].classes.tolist() == [2, 7, 9]
    assert (fitted["task"].predict(train) == numbers).mean() > 0.99


def test_strengths_come_from_strong_to_weak_and_weights_grow() -> None:
    train, labels = _problem(300, 20, 3, 2.0)
    found = list(fit_classifiers(train, {"task": labels}, [1.0, 0.001, 0.1]))
    assert [c for c, _ in found] == [0.001, 0.1, 1.0]
    norms = [np.linalg.norm(fitted["task"].weights) for _, fitted in found]
    assert norms == sorted(norms)


def test_features_that_are_all_zero_predict_the_most_frequent_class() -> None:
    labels = np.array([0, 1, 1, 2])
    ((_, fitted),) = fit_classifiers(np.zeros((4, 3), np.float32), {"task": labels}, [1.0])
    assert fitted["task"].predict(np.zeros((2, 3), np.float32)).tolist() == [1, 1]
    assert not fitted["task"].weights.any()


def test_predictions_are_the_class_of_the_largest_logit() -> None:
    classifier = LinearClassifier(
        np.array([[1, 0], [0, 1]], np.float32), np.array([0.0, 0.5], np.float32), np.array([3, 8])
    )
    features = np.array([[1, 0], [0, 1], [0.4, 0]], np.float32)
    assert classifier.predict(features).tolist() == [3, 8, 8]


@pytest.mark.parametrize(
    ("num_images", "labels", "message"),
    [
        (4, {"task": np.zeros(4, int)}, "'task' has one class only"),
        (0, {"task": np.zeros(0, int)}, "at least one image"),
        (4, {}, "one task"),
    ],
)
def test_bad_input_is_refused(num_images: int, labels: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(fit_classifiers(np.zeros((num_images, 2), np.float32), labels, [1.0]))
