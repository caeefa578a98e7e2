"""Encoders of timm's families: each gives as many features as it says, and can be trained."""

import pytest
import torch

from pipelines.run.preflight import check_encoder
from stablerep.errors import ConfigError
from stablerep.models.encoder import Encoder
from stablerep.models.encoders import build_encoder
from stablerep.models.heads import ProjectionHead

TIMM = "stablerep.models.encoders.TimmEncoder"
# a module of timm, one of its smallest models, and a size that the model takes
FAMILIES = {
    "beit": ("beit_base_patch16_224", 32),
    "byoanet": ("halonet_h1", 256),
    "byobnet": ("test_byobnet", 32),
    "convit": ("convit_tiny", 32),
    "convnext": ("test_convnext", 32),
    "cpubone": ("cpubone_nano", 32),
    "cspnet": ("cs3darknet_focus_s", 32),
    "deit": ("deit_tiny_patch16_224", 32),
    "dla": ("dla46x_c", 32),
    "edgenext": ("edgenext_xx_small", 32),
    "efficientnet": ("mobilenetv4_conv_small_035", 32),
    "efficientformer": ("efficientformer_l1", 224),
    "efficientvit_mit": ("efficientvit_b0", 32),
    "efficientvit_msra": ("efficientvit_m0", 32),
    "eva": ("vit_tiny_patch16_dinov3_qkvb", 32),
    "fasternet": ("fasternet_t0", 32),
    "fastvit": ("fastvit_t8", 64),
    "ghostnet": ("ghostnet_050", 32),
    "hardcorenas": ("hardcorenas_b", 32),
    "hgnet": ("hgnetv2_b0", 32),
    "hiera": ("hiera_tiny_224", 32),
    "iformer": ("iformer_t", 32),
    "inception_next": ("inception_next_atto", 32),
    "inception_v3": ("inception_v3", 299),
    "lcnetv2": ("lcnetv2_small", 32),
    "levit": ("levit_128s", 32),
    "mambaout": ("test_mambaout", 32),
    "maxxvit": ("test_coatnet", 32),
    "mlp_mixer": ("gmlp_ti16_224", 32),
    "mobilenetv3, large": ("mobilenetv3_large_075", 32),
    "mobilenetv3, small": ("mobilenetv3_small_050", 32),
    "mobilenetv3, lcnet": ("lcnet_035", 32),
    "mobilevit": ("mobilevit_xxs", 32),
    "nfnet": ("test_nfnet", 32),
    "pit": ("pit_ti_224", 32),
    "pvt_v2": ("pvt_v2_b0", 32),
    "regnet": ("regnetx_002", 32),
    "repghost": ("repghostnet_050", 32),
    "repvit": ("repvit_m1", 32),
    "resnet": ("test_resnet", 32),
    "resnetv2": ("resnetv2_18", 32),
    "rexnet": ("rexnet_100", 32),
    "starnet": ("starnet_s050", 32),
    "swin_transformer": ("swin_tiny_patch4_window7_224", 32),
    "tiny_vit": ("tiny_vit_5m_224", 32),
    "vgg": ("vgg11", 32),
    "vision_transformer": ("test_vit", 32),
}


def build(family: str) -> Encoder:
    name, size_px = FAMILIES[family]
    return build_encoder({"_target_": TIMM, "name": name, "size_px": size_px})


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_passes_the_check_before_the_first_node_with_the_features_that_it_gives(family: str) -> None:
    name, size_px = FAMILIES[family]
    check_encoder({"_target_": TIMM, "name": name, "size_px": size_px})
    with torch.device("meta"), torch.no_grad():
        encoder = build(family)
        features = encoder(torch.zeros(3, 3, size_px, size_px))
    assert features.shape == (3, encoder.num_features)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_trained_a_step_from_random_weights(family: str) -> None:
    torch.manual_seed(0)
    encoder = build(family)
    head = ProjectionHead(encoder.num_features, 16, 8)
    z_ND = head(encoder(torch.rand(4, 3, encoder.size_px, encoder.size_px)), torch.zeros(4).long(), 1)
    (z_ND @ torch.randn(8)).sum().backward()
    gradients = [each.grad for each in encoder.parameters() if each.grad is not None]
    assert torch.stack([each.norm() for each in gradients]).norm() > 0
    assert all(each.isfinite().all() for each in gradients)


def test_a_model_that_gives_no_tensor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    made = timm.create_model("test_vit", img_size=32, num_classes=0)
    monkeypatch.setattr(made, "forward", lambda images: (images, images))
    monkeypatch.setattr(timm, "create_model", lambda *args, **options: made)
    with pytest.raises(ConfigError, match=r"test_vit takes no images of 32 px \('tuple' object"):
        build_encoder({"_target_": TIMM, "name": "test_vit", "size_px": 32})


def test_a_size_that_a_family_does_not_take_is_refused_with_its_own() -> None:
    backbone = {"_target_": TIMM, "name": "halonet_h1", "size_px": 32}
    with pytest.raises(ConfigError, match=r"halonet_h1 takes no images of 32 px \(\w+.*own 256x256 px"):
        check_encoder(backbone)


class _DifferentInTraining(Encoder):
    """Gives the channels of a map in training, more features than it says."""

    size_px, num_features = 4, 3

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


def test_features_of_another_number_than_an_encoder_says_are_found_before_the_first_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stablerep.models.encoders.build_encoder", lambda config: _DifferentInTraining())
    with pytest.raises(ConfigError, match=r"gives features of shape \(2, 48\).*must be \(2, 3\)"):
        check_encoder({"_target_": "stablerep.models.mine.Mine"})


def test_a_size_that_is_not_dynamic_is_no_option_of_a_model_that_has_none():
    backbone = {"_target_": TIMM, "name": "resnet18", "size_px": 32}
    assert build_encoder(backbone | {"dynamic_img_size": False}).num_features == 512
    with pytest.raises(ConfigError, match="dynamic_img_size"):
        build_encoder(backbone | {"dynamic_img_size": True})
