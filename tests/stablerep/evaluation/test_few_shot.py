"""Few-shot classification."""

import numpy as np
import pytest

from stablerep.errors import ConfigError
from stablerep.evaluation.evaluation import evaluate
from stablerep.evaluation.few_shot import ClassMeans, FewShot, FewShotSettings
from stablerep.evaluation.subject import Split
from tests.stablerep.evaluation.sets import labelled_set, perfect, random, subject

SET = labelled_set()
TASKS = {"shape": ("a", "b", "c", "d")}


def test_the_nearest_class_mean_by_hand() -> None:
    shots = np.array([[0, 0], [2, 0], [4, 4]], np.float32)  # their mean is (2, 4 / 3)
    means = ClassMeans.of(shots, np.array([5, 5, 7]))
    np.testing.assert_allclose(means.centre, [2, 4 / 3], rtol=1e-6)
    first = np.array([-2, -4 / 3]) / np.hypot(2, 4 / 3)
    np.testing.assert_allclose(means.means[0], (first + [0, -1]) / 2, rtol=1e-6)
    np.testing.assert_allclose(means.means[1], np.array([2, 8 / 3]) / np.hypot(2, 8 / 3), rtol=1e-6)
    assert means.predict(np.array([[0, 0], [9, 9], [2, 0], [2, 5]])).tolist() == [5, 7, 5, 7]


def test_the_nearest_class_mean_is_that_of_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    shots, labels = rng.normal(size=(30, 5)), np.repeat([0, 2, 4], 10)
    queries = rng.normal(size=(50, 5))
    centred = [(shot - shots.mean(axis=0)) for shot in shots]
    centred = np.array([each / np.linalg.norm(each) for each in centred])
    means = {label: centred[labels == label].mean(axis=0) for label in (0, 2, 4)}
    slow = []
    for query in queries - shots.mean(axis=0):
        unit = query / np.linalg.norm(query)
        slow.append(min(means, key=lambda label: np.linalg.norm(unit - means[label])))
    assert ClassMeans.of(shots, labels).predict(queries).tolist() == slow


def test_more_shots_of_noisy_blobs_are_better_and_each_number_is_a_metric() -> None:
    features = perfect(SET) + 0.4 * random(SET, 4)
    metrics = evaluate(subject(SET, features), [FewShot()], 200, 0).metrics.set_index("metric")
    assert list(metrics.index) == ["accuracy_1_shot", "accuracy_5_shot", "accuracy_10_shot"]
    assert metrics["value"].is_monotonic_increasing
    assert metrics["value"].iloc[0] < metrics["value"].iloc[2] - 0.05
    assert (metrics["low"] < metrics["value"]).all()
    assert metrics["validation"].notna().tolist() == [True, False, False]


def test_shots_come_from_train_images_of_each_class_alone() -> None:
    labels = np.repeat(np.arange(4), 12)
    labels[::12] = -1  # an image of unknown label is no shot
    # a feature names the image: 0 to 47 are train images, others are validation images
    features = np.arange(48, dtype=np.float32)[:, None]
    train = Split(features, {"shape": labels}, TASKS)
    validation = Split(features + 1000, {"shape": labels}, TASKS)
    seen: list[np.ndarray] = []
    of = ClassMeans.of
    evaluation = FewShot([1, 5, 10], num_episodes=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ClassMeans, "of", lambda shots, given: (seen.append((shots, given)), of(shots, given))[1]
        )
        evaluation.choose(train, validation, None)
    assert len(seen) == 30 * 3
    for place, (shots, given) in enumerate(seen):
        rows = shots[:, 0].astype(int)
        assert rows.max() < 48
        assert len(set(rows)) == len(rows) == 4 * (1, 5, 10)[place % 3]
        assert (labels[rows] == given).all()
        assert np.bincount(given).tolist() == [(1, 5, 10)[place % 3]] * 4
    drawn = {int(row) for shots, _ in seen for row in shots[:, 0]}
    assert drawn == set(np.flatnonzero(labels >= 0)), "all known train images are drawn in some episode"


def test_the_fewer_shots_are_among_the_more(monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(np.arange(80, dtype=np.float32)[:, None], {"shape": np.repeat(np.arange(4), 20)}, TASKS)
    monkeypatch.setattr(ClassMeans, "of", lambda shots, labels: set(shots[:, 0]))
    few, more = FewShot([2, 6])._episode(split, "shape", 0)
    assert len(few) == 8
    assert len(more) == 24
    assert few < more


def test_validation_images_decide_nothing() -> None:
    features = perfect(SET) + 0.4 * random(SET, 4)
    rows = SET.rows("validation")
    before = evaluate(subject(SET, features), [FewShot()], 20, 0).metrics
    features[rows] = 7
    after = evaluate(subject(SET, features), [FewShot()], 20, 0).metrics
    assert before["value"].tolist() == after["value"].tolist()
    assert before["validation"][0] != after["validation"][0]


def test_the_interval_is_over_test_units_and_episodes() -> None:
    features = perfect(SET) + 0.4 * random(SET, 4)
    scores = evaluate(subject(SET, features), [FewShot([1], num_episodes=5)], 2000, 0)
    row = scores.metrics.iloc[0]
    means = scores.units["score"]
    assert row["value"] == pytest.approx(means.mean())
    over_units_alone = 2 * 1.96 * means.std(ddof=0) / len(means) ** 0.5
    assert row["high"] - row["low"] > 1.1 * over_units_alone


def test_a_class_with_fewer_train_images_than_shots_is_refused() -> None:
    labels = np.array([0] * 10 + [1] * 9 + [-1] * 5)
    FewShot([1, 9]).check_train_labels(labels, "task 'shape'")
    message = (
        r"evaluation\.few_shot\.num_shots: got 10; must be <= 9, the number of train images of class 1 of "
        r"task 'shape'\. Set it in conf/params/evaluation/few_shot\.yaml, or use more train images\."
    )
    with pytest.raises(ConfigError, match=message):
        FewShot().check_train_labels(labels, "task 'shape'")
    split = Split(np.zeros((24, 2), np.float32), {"shape": labels}, {"shape": ("a", "b")})
    with pytest.raises(ConfigError, match=message):
        FewShot().choose(split, split, None)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_shots": [1, 0]}, r"num_shots\[1\]: got 0; must be >= 1"),
        ({"num_shots": []}, r"num_shots: got \[\]; must have at least 1 values"),
        ({"num_episodes": 0}, r"num_episodes: got 0; must be >= 1"),
    ],
)
def test_settings_out_of_bounds_name_their_key_and_file(setting: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"evaluation\.few_shot\.{message}\. Set it in"):
        FewShot(**setting)


def test_a_changed_default_is_a_new_version() -> None:
    pinned = {1: {"num_shots": (1, 5, 10), "num_episodes": 20, "seed": 0}}
    assert FewShotSettings().model_dump() == pinned[FewShot.version]
