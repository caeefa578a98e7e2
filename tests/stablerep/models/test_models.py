"""Encoders, heads and the text tower: shapes as documented, errors that say what to do."""

from typing import get_args

import pytest
import torch

from stablerep.errors import ConfigError
from stablerep.models.encoders import build_encoder
from stablerep.models.heads import BATCH_NORMS, ProjectionHead
from stablerep.models.residual import ResidualEncoder
from stablerep.models.settings import HeadSettings
from stablerep.models.text import TextTower


def test_residual_encoder_maps_images_to_its_number_of_features():
    encoder = ResidualEncoder()
    assert encoder(torch.rand(3, 3, 32, 32)).shape == (3, encoder.num_features) == (3, 512)


def test_residual_encoder_does_not_see_brightness_and_contrast_of_a_whole_image():
    encoder = ResidualEncoder().eval()
    images = torch.rand(2, 3, 32, 32)
    assert torch.allclose(encoder(images), encoder(images * 0.5 + 0.2), atol=1e-3)


@pytest.mark.parametrize("difference", [0, 1e-7, 1e-6])
def test_an_image_of_one_colour_leaves_the_gradient_finite(difference):
    config = {"_target_": "stablerep.models.encoders.TimmEncoder", "name": "resnet18", "size_px": 32}
    options = {"layers": [1, 1, 1, 1], "channels": [32, 64, 96, 32], "stem_type": "deep", "stem_width": 24}
    options |= {"output_stride": 8, "act_layer": "gelu", "norm_layer": "groupnorm1", "zero_init_last": False}
    encoder = build_encoder(config | options | {"flatten": True, "standardise": "image"})
    images = torch.rand(4, 3, 32, 32)
    images[0] = 0.7 + difference * torch.randn(3, 32, 32)
    (encoder(images) @ torch.randn(encoder.num_features)).sum().backward()
    assert torch.stack([each.grad.norm() for each in encoder.parameters()]).norm().isfinite()


def test_timm_encoder_is_built_by_name_at_a_size():
    encoder = build_encoder(
        {
            "_target_": "stablerep.models.encoders.TimmEncoder",
            "name": "vit_tiny_patch16_224",
            "size_px": 32,
            "patch_size": 8,
            "depth": 1,
        }
    )
    assert encoder(torch.rand(2, 3, 32, 32)).shape == (2, encoder.num_features)


@pytest.mark.parametrize(
    ("options", "num_features"),
    [
        ({"name": "vit_tiny_patch16_224", "patch_size": 8, "depth": 1}, 17 * 192),
        ({"name": "test_resnet", "output_stride": 8}, 96 * 4 * 4),
    ],
)
def test_timm_encoder_flattens_what_it_would_pool(options, num_features):
    config = {"_target_": "stablerep.models.encoders.TimmEncoder", "size_px": 32, "flatten": True}
    encoder = build_encoder(config | options)
    assert encoder.num_features == num_features
    assert encoder.training
    assert encoder(torch.rand(2, 3, 32, 32)).shape == (2, num_features)


def test_an_unknown_timm_name_says_so():
    config = {"_target_": "stablerep.models.encoders.TimmEncoder", "name": "vit_bass", "size_px": 32}
    with pytest.raises(ConfigError, match=r"encoder\.backbone\.name: got 'vit_bass'.*such as \w+, "):
        build_encoder(config)
    with pytest.raises(ConfigError, match=r"such as \w*resnet"):
        build_encoder(config | {"name": "resnet5000"})


@pytest.mark.parametrize("target", [None, "os.system", "stablerep.models.residual.Nothing"])
def test_a_target_that_is_no_encoder_is_an_error(target):
    with pytest.raises(ConfigError, match=r"encoder\.backbone"):
        build_encoder({"_target_": target})


def test_projection_head_gives_unit_vectors_of_its_width():
    z = ProjectionHead(12, 16, 5)(torch.randn(8, 12), torch.zeros(8, dtype=torch.int64), 1)
    assert z.shape == (8, 5)
    assert torch.allclose(z.norm(dim=1), torch.ones(8))


def test_text_tower_gives_unit_vectors_for_captions_and_images():
    tower = TextTower(12, 40, 8, end_token=39, width=16, num_layers=1, num_heads=2, out=6)
    ids = torch.tensor([[1, 2, 39, 39, 39, 39, 39, 39], [3, 39, 39, 39, 39, 39, 39, 39]])
    for z in (tower.embed_text(ids), tower.embed_images(torch.randn(2, 12))):
        assert z.shape == (2, 6)
        assert torch.allclose(z.norm(dim=1), torch.ones(2), atol=1e-5)


def test_batch_norm_per_view_is_the_head_on_each_slice_apart():
    torch.manual_seed(0)
    features, slices = torch.randn(9, 12), torch.tensor([0, 2, 1, 2, 0, 1, 1, 2, 0])
    apart, together = ProjectionHead(12, 16, 5, "per_view"), ProjectionHead(12, 16, 5)
    together.load_state_dict(apart.state_dict())
    z = apart(features, slices, 3)
    for number in range(3):
        torch.testing.assert_close(z[slices == number], together(features[slices == number], slices, 1))
    assert not torch.allclose(z, together(features, slices, 1))


def test_an_unknown_batch_norm_is_an_error_and_both_lists_agree():
    assert get_args(HeadSettings.model_fields["batch_norm"].annotation) == BATCH_NORMS
    with pytest.raises(ConfigError, match=r"encoder\.head\.batch_norm: got 'local'"):
        ProjectionHead(12, 16, 5, "local")
