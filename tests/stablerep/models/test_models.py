"""Encoders, heads and the text tower: shapes as documented, errors that say what to do."""

from typing import get_args

import pytest
import torch

from stablerep.errors import ConfigError
from stablerep.models.encoders import build_encoder
from stablerep.models.heads import BATCH_NORMS, HEAD_KINDS, ProjectionHead
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


def by_hand(head, features, kind):
    """Computes the head's embeddings of one slice from its weights, with the slice's own statistics."""
    weights = [value.double() for name, value in head.named_parameters() if name.endswith("weight")]
    biases = [value.double() for name, value in head.named_parameters() if name.endswith("bias")]
    linear, norm = weights[0::2], weights[1::2]
    if kind == "stablerep":
        of_linear, of_norm = biases[0::2], biases[1::2]
    else:
        of_linear, of_norm = [0.0, 0.0, 0.0], biases
    x = features.double()
    for layer in range(3):
        x = x @ linear[layer].T + of_linear[layer]
        if layer < 2 or kind == "moco_v3":
            x = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()
        if layer < 2:
            x = (x * norm[layer] + of_norm[layer]).clamp(min=0)
    return (x / x.norm(dim=1, keepdim=True)).float()


@pytest.mark.parametrize("kind", HEAD_KINDS)
@pytest.mark.parametrize("batch_norm", BATCH_NORMS)
def test_a_head_is_its_formula_over_the_whole_batch_or_over_each_slice_apart(kind, batch_norm):
    torch.manual_seed(0)
    slices = torch.tensor([0, 2, 1, 2, 0, 1, 1, 2, 0])  # in any order
    features = torch.randn(9, 12) + slices[:, None]  # slices with statistics of their own
    head = ProjectionHead(12, 16, 5, kind, batch_norm)
    with torch.no_grad():
        for each in head.parameters():  # BatchNorm begins with ones and zeros
            each.add_(0.2 * torch.randn_like(each))
    embedded = head(features, slices, 3)
    groups = [slices == number for number in range(3)] if batch_norm == "per_view" else [slices >= 0]
    for rows in groups:
        torch.testing.assert_close(embedded[rows], by_hand(head, features[rows], kind), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("key", "known"), [("batch_norm", BATCH_NORMS), ("kind", HEAD_KINDS)], ids=["batch_norm", "kind"]
)
def test_an_unknown_kind_is_an_error_and_both_lists_agree(key, known):
    assert get_args(HeadSettings.model_fields[key].annotation) == known
    with pytest.raises(
        ConfigError, match=rf"encoder\.head\.{key}: got 'local'; must be one of {sorted(known)[0]}"
    ):
        ProjectionHead(12, 16, 5, **{key: "local"})
