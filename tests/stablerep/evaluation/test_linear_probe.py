"""The linear probe."""

import numpy as np
import pytest

from stablerep.errors import ConfigError, DataError
from stablerep.evaluation.evaluation import choose_all
from stablerep.evaluation.linear_probe import LinearProbe, LinearProbeSettings
from stablerep.evaluation.standardiser import Standardiser
from stablerep.evaluation.subject import Split
from tests.stablerep.evaluation.sets import labelled_set, perfect, random, subject

SET = labelled_set()
LABELS = np.repeat(np.arange(4), 50)
TASKS = {"shape": ("a", "b", "c", "d")}


def _noisy(seed: int, noise: float, more: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    features = np.hstack(
        [np.eye(4)[LABELS] + noise * rng.normal(size=(200, 4)), rng.normal(size=(200, more))]
    )
    return Split(features.astype(np.float32), {"shape": LABELS}, TASKS)


def test_standardiser_uses_the_training_features_alone() -> None:
    standardise = Standardiser(np.array([[0.0, 5.0], [2.0, 5.0]], dtype=np.float32))
    np.testing.assert_allclose(standardise(np.array([[3.0, 6.0]], np.float32)), [[2, 1]])


def test_half_precision_features_are_standardised_in_single_precision() -> None:
    features = np.array([[0.0, 60000.0], [2.0, 50000.0]], dtype=np.float16)
    standard = Standardiser(features)(features)
    assert standard.dtype == np.float32
    np.testing.assert_allclose(standard, [[-1, 1], [1, -1]], rtol=1e-2)


def test_the_penalty_is_chosen_by_the_validation_images() -> None:
    # many noise features: a weak penalty learns the training images by heart, a strong one does not
    train, validation = _noisy(1, 1.2, 100), _noisy(2, 1.2, 100)
    probe = LinearProbe([100.0, 1e-3])
    on_validation = probe.choose(train, validation, None)["shape"]
    on_train = probe.choose(train, train, None)["shape"]
    assert on_validation.chosen == {"inverse_strength": 1e-3}
    assert on_train.chosen == {"inverse_strength": 100.0}
    assert on_validation.validation < on_train.validation


def test_the_kept_probe_is_the_one_that_was_scored() -> None:
    train, validation = _noisy(1, 0.8), _noisy(2, 0.8)
    probe = LinearProbe([1e-4, 1e-2, 1.0])
    choices = probe.choose(train, validation, None)
    predicted = probe.score(choices, validation.unlabelled())["shape"]
    assert (predicted == LABELS).mean() == choices["shape"].validation


def test_of_equals_the_strongest_penalty_is_kept() -> None:
    flawless = _noisy(0, 0)
    assert LinearProbe([10.0, 1.0]).choose(flawless, flawless, None)["shape"].chosen == {
        "inverse_strength": 1.0
    }


def test_each_task_has_its_own_choice() -> None:
    labels = np.random.default_rng(7).integers(4, size=200)
    train, validation = _noisy(1, 0.05), _noisy(2, 0.05)
    tasks = {**TASKS, "noise": TASKS["shape"]}
    parts = [Split(p.features, {"shape": LABELS, "noise": labels}, tasks) for p in (train, validation)]
    choices = LinearProbe().choose(*parts, None)
    assert list(choices) == ["shape", "noise"]
    assert choices["shape"].validation == 1
    assert choices["noise"].validation < 0.45
    assert choices["shape"].state[0] is choices["noise"].state[0]  # standardised once


def test_train_images_of_one_class_are_refused() -> None:
    table = SET.table
    flat = labelled_set({"shape": np.where(table["split"] == "train", 1, table["label.shape"])})
    with pytest.raises(DataError, match="linear_probe, task 'shape': all train images have the same class"):
        choose_all(subject(flat, random(flat)), [LinearProbe()])


def test_a_probe_leaves_memory_mapped_features_as_they_are() -> None:
    features = perfect(SET).astype(np.float16)
    features.flags.writeable = False
    arm = subject(SET, features)
    arm._read_features = lambda split: features[SET.rows(split)]
    assert choose_all(arm, [LinearProbe()])["linear_probe"]["shape"].validation == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"inverse_strengths": ()}, r"inverse_strengths: got \[\]; must have at least 1 values"),
        ({"inverse_strengths": [0.1, 0.0]}, r"inverse_strengths\[1\]: got 0\.0; must be > 0"),
        ({"inverse_strengths": ["1"]}, r"inverse_strengths\[0\]: got '1'; must be a number"),
        ({"tolerance": 0.0}, r"tolerance: got 0\.0; must be > 0 and <= 0\.01"),
        ({"tolerance": 0.1}, r"tolerance: got 0\.1; must be > 0 and <= 0\.01"),
    ],
)
def test_settings_out_of_bounds_name_their_key_and_file(setting: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"evaluation\.linear_probe\.{message}\. Set it in"):
        LinearProbe(**setting)


def test_a_changed_default_is_a_new_version() -> None:
    pinned = {1: {"inverse_strengths": (0.001, 0.01, 0.1, 1.0), "tolerance": 1e-6}}
    assert LinearProbeSettings().model_dump() == pinned[LinearProbe.version]
