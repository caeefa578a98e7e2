"""Features of a frozen encoder."""

import numpy as np
import torch
from torch import nn

from stablerep.evaluation.features import ResizedEncoder, extract_features
from stablerep.models.residual import ResidualEncoder


def test_features_are_of_the_documented_shape_and_type() -> None:
    features = extract_features(nn.Conv2d(3, 2, 4, 4), torch.rand(7, 3, 8, 8), batch_size=3)
    assert features.shape == (7, 2 * 2 * 2)
    assert features.dtype == np.float32


def test_uint8_and_float_images_have_the_same_features() -> None:
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    same = [extract_features(nn.Flatten(), x) for x in (images, images.float() / 255)]
    np.testing.assert_allclose(*same, rtol=1e-6)


def test_features_do_not_depend_on_the_batch_and_leave_the_encoder_as_it_was() -> None:
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    encoder.train()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    images = torch.rand(6, 3, 8, 8)
    one, many = (extract_features(encoder, images, size) for size in (1, 6))
    np.testing.assert_allclose(one, many, atol=1e-6)
    assert encoder.training
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())


def test_images_are_resized_to_what_the_encoder_was_built_for() -> None:
    inner = ResidualEncoder((4, 4), map_channels=2, size_px=16).eval()
    encoder = ResizedEncoder(inner)
    assert extract_features(encoder, torch.rand(2, 3, 8, 8)).shape == (2, inner.num_features)
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(encoder(images), inner(images))
