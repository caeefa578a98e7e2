"""The exponentially weighted vote of nearest neighbours."""

import numpy as np
import pytest

from stablerep.errors import ConfigError
from stablerep.evaluation.knn import Neighbours
from stablerep.evaluation.subject import Split, Unlabelled
from stablerep.evaluation.weighted_knn import WeightedNearestNeighbours, WeightedNearestNeighboursSettings


def _split(features: np.ndarray, labels: list[int]) -> Split:
    return Split(features.astype(np.float32), {"shape": np.array(labels)}, {"shape": ("a", "b", "c")})


def _at(degrees: list[float]) -> np.ndarray:
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)


def test_a_vote_by_hand() -> None:
    near = Neighbours(np.array([[0, 1, 2]]), np.array([[0.9, 0.8, 0.78]], np.float32))
    labels = np.array([0, 1, 1])
    # exp(0.9 / 0.07) = 383,000 outweighs 92,000 + 69,000; with a temperature of 1 the two others win
    assert near.vote(labels, 3, 0.07).tolist() == [0]
    assert near.vote(labels, 3, 1.0).tolist() == [1]
    assert near.nearest(1).vote(labels, 3, 1.0).tolist() == [0]
    assert near.vote(labels, 3).tolist() == [1]  # 1 + s, as `knn` has it


def test_votes_of_a_tiny_temperature_stay_finite() -> None:
    near = Neighbours(np.array([[0, 1]]), np.array([[1.0, 0.999]], np.float32))
    assert near.vote(np.array([2, 1]), 3, 1e-4).tolist() == [2]


def test_predictions_are_those_of_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    train, queries = rng.normal(size=(60, 6)), rng.normal(size=(40, 6))
    labels = rng.integers(3, size=60)
    split = _split(train, labels.tolist())
    knn = WeightedNearestNeighbours([7])
    ours = knn.score(knn.choose(split, split, None), Unlabelled(queries.astype(np.float32)))["shape"]
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    for query, predicted in zip(queries, ours, strict=True):
        cosines = unit @ (query / np.linalg.norm(query))
        votes = np.zeros(3)
        for row in np.argsort(-cosines)[:7]:
            votes[labels[row]] += np.exp(cosines[row] / 0.07)
        assert predicted == votes.argmax()


def test_the_number_of_neighbours_is_chosen_on_validation_images_and_of_equals_the_smallest() -> None:
    # each query is nearest to one image of another class, and then to three of its own
    train = _split(_at([0, 1, 2, 3, 90, 91, 92, 93]), [1, 0, 0, 0, 0, 1, 1, 1])
    queries = _split(_at([-1, 89]), [0, 1])
    chosen = WeightedNearestNeighbours([4, 1, 3], 1.0).choose(train, queries, None)["shape"]
    assert chosen.chosen == {"num_neighbours": 3}
    assert chosen.validation == 1
    wrong = _split(_at([-1, 89]), [1, 0])
    assert WeightedNearestNeighbours([4, 1, 3], 1.0).choose(train, wrong, None)["shape"].chosen == {
        "num_neighbours": 1
    }


def test_more_neighbours_than_train_images_are_refused() -> None:
    few = _split(np.eye(3), [0, 1, 2])
    with pytest.raises(ConfigError, match=r"weighted_knn\.num_neighbours: got 10; must be >= 1 and <= 3"):
        WeightedNearestNeighbours([2, 10]).choose(few, few, None)
    WeightedNearestNeighbours([20]).check_train_labels(np.zeros(20, int), "task 'class'")
    with pytest.raises(ConfigError, match=r"got 20; must be <= 19, the number .* of task 'class'\. Set"):
        WeightedNearestNeighbours([20]).check_train_labels(np.zeros(19, int), "task 'class'")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_neighbours": [10, 0]}, r"num_neighbours\[1\]: got 0; must be >= 1"),
        ({"temperature": 0.0}, r"temperature: got 0\.0; must be > 0"),
    ],
)
def test_settings_out_of_bounds_name_their_key_and_file(setting: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"evaluation\.weighted_knn\.{message}\. Set it in"):
        WeightedNearestNeighbours(**setting)


def test_a_changed_default_is_a_new_version() -> None:
    pinned = {1: {"num_neighbours": (10, 20, 100, 200), "temperature": 0.07}}
    assert WeightedNearestNeighboursSettings().model_dump() == pinned[WeightedNearestNeighbours.version]
