"""The reference that knows nothing: pixels, and their principal components."""

from pathlib import Path

import numpy as np
import torch

from stablerep.evaluation.feature_store import FeatureStore
from stablerep.evaluation.features import EncoderFeatures, encoder_digest
from stablerep.evaluation.raw_pixels import PixelComponents, RawPixels, fit_pixel_components
from stablerep.models.encoder import Encoder
from stablerep.storage.pixels import ImagesInMemory
from tests.stablerep.evaluation.sets import RandomPixels, labelled_set

SET = labelled_set()


def features_of(folder: Path, encoder: Encoder, pixels: RandomPixels, split: str) -> np.ndarray:
    return EncoderFeatures("raw", encoder, {}, SET, pixels, FeatureStore(folder))(split)


def test_raw_pixels_are_the_pixels_of_a_small_image(tmp_path: Path) -> None:
    pixels = RandomPixels(len(SET.table), 32, 32)
    found = features_of(tmp_path, RawPixels(), pixels, "test")
    assert found.shape == (90, 3 * 32 * 32) == (90, RawPixels().num_features)
    expected = pixels.images[SET.rows("test")].reshape(90, -1) / 255
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_components_are_those_of_the_train_images_alone(tmp_path: Path) -> None:
    pixels = RandomPixels(len(SET.table), 32, 32)
    fitted = fit_pixel_components(pixels, SET.rows("train"), 5, 0)
    found = features_of(tmp_path, fitted, pixels, "test")
    assert found.shape == (90, 5) == (90, fitted.num_features)
    flat = pixels.images.numpy().reshape(len(SET.table), -1) / 255
    train = flat[SET.rows("train")]
    _, _, axes = np.linalg.svd(train - train.mean(axis=0), full_matrices=False)
    # images of noise have no clear axes: those found must have nearly the variance of the best
    expected = (flat[SET.rows("test")] - train.mean(axis=0)) @ fitted.components.numpy().T
    np.testing.assert_allclose(found, expected, atol=1e-4)
    variances = (train - train.mean(axis=0)) @ fitted.components.numpy().T
    best = (train - train.mean(axis=0)) @ axes[:5].T
    assert variances.var(axis=0).sum() > 0.9 * best.var(axis=0).sum()


def test_components_find_the_directions_that_images_differ_in() -> None:
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(3 * 32 * 32, 2)))[0]
    amounts = rng.normal(size=(300, 2)) * [1500, 900]
    images = np.clip(128 + amounts @ axes.T, 0, 255).round().astype(np.uint8).reshape(300, 3, 32, 32)
    fitted = fit_pixel_components(ImagesInMemory(torch.from_numpy(images)), np.arange(300), 2, 0)
    cosines = np.abs(fitted.components.numpy() @ axes)
    np.testing.assert_allclose(np.diag(cosines), 1, atol=0.02)


def test_components_are_a_function_of_the_images_and_the_seed() -> None:
    pixels, rows = RandomPixels(50, 32, 32), np.arange(40)
    first, again = (encoder_digest(fit_pixel_components(pixels, rows, 3, 0), {}) for _ in range(2))
    assert first == again
    assert encoder_digest(fit_pixel_components(pixels, rows[1:], 3, 0), {}) != first


def test_there_are_no_more_components_than_images() -> None:
    fitted = fit_pixel_components(RandomPixels(7, 32, 32), np.arange(7), 64, 0)
    assert isinstance(fitted, PixelComponents) and fitted.num_features == 7


def test_of_many_images_a_random_part_is_read(monkeypatch) -> None:
    monkeypatch.setattr("stablerep.evaluation.raw_pixels._MAX_FITTED", 20)
    pixels = RandomPixels(50, 32, 32)
    fit_pixel_components(pixels, np.arange(50), 3, 0)
    assert pixels.num_read == 20
