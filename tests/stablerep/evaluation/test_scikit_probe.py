"""The linear probe of `evaluate.py`; goes with it."""

import numpy as np
import pytest

from stablerep.evaluation.scikit_probe import Standardiser, fit_linear_probe

LABELS = np.repeat(np.arange(4), 50)


def _noisy(seed: int, noise: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (np.eye(4)[LABELS] + noise * rng.normal(size=(200, 4))).astype(np.float32)


def test_standardiser_uses_the_training_features_alone() -> None:
    train = np.array([[0.0, 5.0], [2.0, 5.0]], dtype=np.float32)
    standardise = Standardiser(train)
    np.testing.assert_allclose(standardise(train), [[-1, 0], [1, 0]])
    np.testing.assert_allclose(standardise(np.array([[3.0, 6.0]], np.float32)), [[2, 1]])


def test_perfect_embeddings_are_all_right() -> None:
    perfect = Standardiser(_noisy(0, 0))(_noisy(0, 0))
    probe = fit_linear_probe((perfect, LABELS), (perfect, LABELS), [1.0])
    assert probe.validation_accuracy == 1
    assert (probe.predict(perfect) == LABELS).all()


def test_random_embeddings_are_near_chance() -> None:
    rng = np.random.default_rng(0)
    train, validation = (rng.normal(size=(200, 8)).astype(np.float32) for _ in range(2))
    probe = fit_linear_probe((train, LABELS), (validation, LABELS), [0.01, 1.0])
    assert probe.validation_accuracy < 0.4


def test_collapsed_embeddings_are_at_chance() -> None:
    flat = np.full((200, 8), 3.0, dtype=np.float32)
    standardise = Standardiser(flat)
    probe = fit_linear_probe((standardise(flat), LABELS), (standardise(flat), LABELS), [0.1])
    assert probe.validation_accuracy == pytest.approx(0.25)


def test_c_is_chosen_by_the_validation_images() -> None:
    # many noise features: a weak penalty learns the training images by heart, a strong one does not
    rng = np.random.default_rng(0)
    wide = [np.hstack([_noisy(s, 1.2), rng.normal(size=(200, 100))]) for s in (1, 2)]
    train, validation = ((x.astype(np.float32), LABELS) for x in wide)
    on_validation = fit_linear_probe(train, validation, [100.0, 1e-3])
    on_train = fit_linear_probe(train, train, [100.0, 1e-3])
    assert (on_validation.probe_c, on_train.probe_c) == (1e-3, 100.0)
    assert on_validation.validation_accuracy < on_train.validation_accuracy


def test_the_kept_probe_is_the_one_that_was_scored() -> None:
    train, validation = (_noisy(1, 0.8), LABELS), (_noisy(2, 0.8), LABELS)
    probe = fit_linear_probe(train, validation, [1e-4, 1e-2, 1.0])
    assert (probe.predict(validation[0]) == LABELS).mean() == probe.validation_accuracy


def test_of_equals_the_strongest_penalty_is_kept() -> None:
    perfect = _noisy(0, 0)
    assert fit_linear_probe((perfect, LABELS), (perfect, LABELS), [10.0, 1.0]).probe_c == 1.0
