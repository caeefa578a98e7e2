"""Features of a frozen encoder."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stablerep.errors import ConfigError, DataError, TrainingError
from stablerep.evaluation.feature_store import FeatureStore
from stablerep.evaluation.features import (
    DTYPES,
    EncoderFeatures,
    encoder_digest,
    encoder_subject,
    fit_size,
)
from stablerep.models.encoder import Encoder
from tests.stablerep.evaluation.sets import RandomPixels, labelled_set


class Net(Encoder):
    """Batch norm and dropout, so that modes matter."""

    def __init__(self, size_px: int = 8) -> None:
        super().__init__()
        self.size_px, self.num_features = size_px, 4
        self.body = nn.Sequential(nn.Conv2d(3, 4, size_px), nn.BatchNorm2d(4), nn.Dropout(0.5))

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[-2:] == (self.size_px, self.size_px)
        return self.body(images).flatten(1)


class Broken(Net):
    def forward(self, images: Tensor) -> Tensor:
        return torch.where(images[:, 0, 0, :1] > 0.5, torch.nan, super().forward(images))


SET = labelled_set()


def _features(folder: Path, encoder: Encoder, pixels: RandomPixels, **options: object) -> EncoderFeatures:
    return EncoderFeatures("arm", encoder, {"width": 4}, SET, pixels, FeatureStore(folder), **options)


@pytest.mark.parametrize("batch_size", [7, 256])
def test_features_of_a_split_are_the_encoder_s_in_the_order_of_the_table(
    tmp_path: Path, batch_size: int
) -> None:
    encoder, pixels = Net(), RandomPixels(len(SET.table))
    encoder.train()
    found = _features(tmp_path, encoder, pixels, batch_size=batch_size)("validation")
    assert encoder.training
    with torch.no_grad():
        images = (pixels.images[SET.rows("validation")]).float() / 255
        np.testing.assert_allclose(found, encoder.eval()(images), atol=1e-6)


def test_features_are_computed_once_for_equal_weights(tmp_path: Path) -> None:
    encoder, pixels = Net(), RandomPixels(len(SET.table))
    first = _features(tmp_path, encoder, pixels)("train")
    again = _features(tmp_path, copy.deepcopy(encoder), pixels)("train")
    assert pixels.num_read == len(first)
    np.testing.assert_array_equal(first, again)


def test_other_weights_are_another_file(tmp_path: Path) -> None:
    pixels = RandomPixels(len(SET.table))
    first, other = (_features(tmp_path, Net(), pixels) for _ in range(2))
    assert not np.array_equal(first("train"), other("train"))
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_another_configuration_is_another_digest() -> None:
    encoder = Net()
    assert encoder_digest(encoder, {"a": 1}) != encoder_digest(encoder, {"a": 2})
    assert encoder_digest(encoder, {"a": 1}) == encoder_digest(copy.deepcopy(encoder), {"a": 1})


def test_a_damaged_file_is_computed_again(tmp_path: Path) -> None:
    features = _features(tmp_path, Net(), RandomPixels(len(SET.table)))
    before = np.array(features("test"))
    path = features.store.path(features.key, "test")
    path.write_bytes(path.read_bytes()[:-9])
    np.testing.assert_array_equal(features("test"), before)


def test_half_precision_features_take_half_the_file(tmp_path: Path) -> None:
    encoder, pixels = Net(), RandomPixels(len(SET.table))
    single, half = (_features(tmp_path, encoder, pixels, dtype=dtype)("train") for dtype in DTYPES[::-1])
    assert half.dtype == np.float16 and half.nbytes * 2 == single.nbytes
    np.testing.assert_allclose(half, single, atol=2e-3)


def test_features_that_are_not_finite_name_the_arm_and_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="arm 'arm': features are not finite for [0-9]+ of 240"):
        _features(tmp_path, Broken(), RandomPixels(len(SET.table)))("train")
    assert not list(tmp_path.iterdir())


def test_features_too_large_for_half_precision_say_so(tmp_path: Path) -> None:
    encoder = Net()
    nn.init.constant_(encoder.body[0].bias, 1e6)
    with pytest.raises(TrainingError, match="too large for float16. Store them as float32"):
        _features(tmp_path, encoder, RandomPixels(len(SET.table)), dtype="float16")("train")


def test_an_encoder_is_a_subject(tmp_path: Path) -> None:
    pixels = RandomPixels(len(SET.table))
    arm = encoder_subject("net", Net(), {}, SET, pixels, FeatureStore(tmp_path))
    assert arm.open_train().features.shape == (240, 4)
    assert len(list(tmp_path.glob("*.npy"))) == 1  # test features are not even computed
    assert arm.name == "net" and arm.prompts is None


def test_another_number_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'shapes' has 3 images and 390 rows"):
        _features(tmp_path, Net(), RandomPixels(3))


def test_an_unknown_dtype_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dtype is 'bfloat16'; it must be one of float16, float32"):
        _features(tmp_path, Net(), RandomPixels(len(SET.table)), dtype="bfloat16")


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 24), (30, 16), (5, 9), (9, 5)])
def test_images_are_resized_at_their_shorter_side_and_cropped_to_the_centre(height: int, width: int) -> None:
    # a ramp along the longer side: its centre must stay in the centre
    ramp = np.linspace(0, 255, max(height, width)).round().astype(np.uint8)
    image = np.broadcast_to(ramp if width >= height else ramp[:, None], (3, height, width)).copy()
    found = fit_size([torch.from_numpy(image)], 8, torch.device("cpu"))
    assert found.shape == (1, 3, 8, 8)
    assert float(found.mean()) == pytest.approx(0.5, abs=0.04)  # half a pixel where the rest is odd
    expected = min(height, width) / max(height, width)  # the share of the ramp that is left
    along = found[0, 0].mean(dim=0 if width >= height else 1)
    assert float(along[-1] - along[0]) == pytest.approx(expected, abs=0.15)


def test_images_of_different_sizes_stand_in_one_batch() -> None:
    images = [np.full((3, *size), 51, np.uint8) for size in ((8, 8), (16, 9), (30, 40))]
    found = fit_size(list(map(torch.from_numpy, images)), 8, torch.device("cpu"))
    torch.testing.assert_close(found, torch.full((3, 3, 8, 8), 0.2))


def test_a_failure_to_read_an_image_ends_the_pass_and_leaves_no_file(tmp_path: Path) -> None:
    class Unreadable(RandomPixels):
        def read(self, row: int) -> np.ndarray:
            raise DataError("image-7 cannot be read")

    encoder = Net()
    with pytest.raises(DataError, match="image-7"):
        _features(tmp_path, encoder, Unreadable(len(SET.table)))("train")
    assert not list(tmp_path.iterdir())
    assert next(encoder.parameters()).device.type == "cpu"
