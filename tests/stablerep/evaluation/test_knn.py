"""Nearest neighbours."""

import numpy as np
import pytest

from stablerep.errors import ConfigError
from stablerep.evaluation.knn import NearestNeighbours, NearestNeighboursSettings, find_neighbours
from stablerep.evaluation.subject import Split, Unlabelled

LABELS = np.repeat(np.arange(5), 40)


def test_neighbours_equal_a_naive_search() -> None:
    rng = np.random.default_rng(0)
    bank, queries = (rng.normal(size=(n, 6)).astype(np.float32) for n in (30, 9))
    found = find_neighbours(bank, queries, 4, batch_size=2)
    for query, rows, similarities in zip(queries, found.rows, found.similarities, strict=True):
        cosines = [float(query @ b / np.linalg.norm(query) / np.linalg.norm(b)) for b in bank]
        assert rows.tolist() == np.argsort(cosines)[::-1][:4].tolist()
        np.testing.assert_allclose(similarities, np.sort(cosines)[::-1][:4], rtol=1e-5)


def test_vote_goes_to_the_class_with_the_most_similarity() -> None:
    bank = np.array([[1, 0], [1, 0.1], [0, 1]], dtype=np.float32)
    found = find_neighbours(bank, np.array([[1, 0.05]], dtype=np.float32), 3)
    assert found.vote(np.array([2, 2, 1]), 3).tolist() == [2]


def test_perfect_embeddings_are_all_right() -> None:
    perfect = np.eye(5, dtype=np.float32)[LABELS]
    assert (find_neighbours(perfect, perfect, 20).vote(LABELS, 5) == LABELS).all()


def test_random_embeddings_are_near_chance() -> None:
    rng = np.random.default_rng(0)
    bank, queries = (rng.normal(size=(200, 16)).astype(np.float32) for _ in range(2))
    accuracy = (find_neighbours(bank, queries, 20).vote(LABELS, 5) == LABELS).mean()
    assert accuracy < 0.35


def test_collapsed_embeddings_are_at_chance() -> None:
    for value in (0.0, 1.0):
        flat = np.full((200, 8), value, dtype=np.float32)
        accuracy = (find_neighbours(flat, flat, 20).vote(LABELS, 5) == LABELS).mean()
        assert accuracy == 0.2


def test_as_many_neighbours_as_training_images_all_vote() -> None:
    few = np.eye(3, dtype=np.float32)
    assert find_neighbours(few, few, 3).rows.shape == (3, 3)


def test_more_neighbours_than_training_images_are_refused() -> None:
    few = np.eye(3, dtype=np.float32)
    with pytest.raises(ConfigError, match=r"evaluation\.knn\.num_neighbours: got 4; must be >= 1 and <= 3"):
        find_neighbours(few, few, 4)


def test_similarities_of_equal_and_opposite_features_are_cosines_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    for width in (3, 64, 512):
        queries = rng.normal(size=(300, width)).astype(np.float32)
        similarities = find_neighbours(np.concatenate([queries, -queries]), queries, 600).similarities
        assert similarities.max() == 1
        assert similarities.min() == -1


def _split(features: np.ndarray, labels: list[int]) -> Split:
    return Split(np.asarray(features, np.float32), {"shape": np.asarray(labels)}, {"shape": ("a", "b", "c")})


def test_the_evaluation_votes_as_by_hand() -> None:
    train = _split([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], [2, 2, 1, 0])
    knn = NearestNeighbours(3)
    # near (1, 0): two of class 2 outvote one; near (0, 1): 1 and 0 are nearest, each alone, and 1 is nearer
    choices = knn.choose(train, _split([[1, 0], [0, 1]], [2, 0]), None)
    assert choices["shape"].validation == 0.5
    assert choices["shape"].chosen == {}
    assert knn.score(choices, Unlabelled(np.array([[2, 0], [0, 3]], np.float32)))["shape"].tolist() == [2, 1]


def test_the_evaluation_equals_search_and_vote_on_half_precision_features() -> None:
    rng = np.random.default_rng(0)
    bank, queries = (rng.normal(size=(200, 16)).astype(np.float16) for _ in range(2))
    for features in (bank, queries):
        features.flags.writeable = False  # as memory-mapped features are
    tasks = {"shape": tuple("abcde")}
    split = Split(bank, {"shape": LABELS}, tasks)
    knn = NearestNeighbours(20)
    predicted = knn.score(knn.choose(split, split, None), Unlabelled(queries))["shape"]
    found = find_neighbours(bank.astype(np.float32), queries.astype(np.float32), 20)
    assert predicted.tolist() == found.vote(LABELS, 5).tolist()


def test_the_evaluation_refuses_more_neighbours_than_train_images() -> None:
    few = _split(np.eye(3), [0, 1, 2])
    with pytest.raises(ConfigError, match=r"num_neighbours: got 4; must be >= 1 and <= 3"):
        NearestNeighbours(4).choose(few, few, None)


@pytest.mark.parametrize(("value", "allowed"), [(0, ">= 1"), (2.5, "an integer")])
def test_settings_out_of_bounds_name_their_key_and_file(value: float, allowed: str) -> None:
    message = (
        rf"evaluation\.knn\.num_neighbours: got {value}; must be {allowed}\. Set it in conf/params/evaluation"
    )
    with pytest.raises(ConfigError, match=message):
        NearestNeighbours(value)


def test_a_changed_default_is_a_new_version() -> None:
    assert NearestNeighboursSettings().model_dump() == {1: {"num_neighbours": 20}}[NearestNeighbours.version]


def test_as_many_train_images_as_neighbours_suffice() -> None:
    NearestNeighbours(20).check_train_labels(np.zeros(20, int), "task 'class'")
    with pytest.raises(
        ConfigError, match=r"got 20; must be <= 19, the number .* of task 'class'\. Set it in"
    ):
        NearestNeighbours(20).check_train_labels(np.zeros(19, int), "task 'class'")
