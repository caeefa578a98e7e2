"""Local crops in a step: their size and area, what they are compared with, and which arms can have them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from stablerep.errors import ConfigError
from stablerep.methods.batch import BatchSettings
from stablerep.methods.clip import CLIP
from stablerep.methods.multi_positive import multi_positive_loss
from stablerep.methods.simclr import SimCLR
from stablerep.methods.stablerep import StableRep
from stablerep.models.encoder import Encoder
from stablerep.models.encoders import TimmEncoder
from stablerep.models.heads import ProjectionHead
from stablerep.models.residual import ResidualEncoder
from stablerep.training import shared_reading
from stablerep.training.batches import GroupedSampler
from stablerep.training.inputs import Arm, inputs_of
from stablerep.training.local_crops import check_local_crops
from stablerep.training.loop import run_arm
from stablerep.training.settings import AugmentationSettings, LocalCropSettings, TrainingSettings
from stablerep.training.step import Networks
from stablerep.training.views import Augmentation
from tests.stablerep.training import measured_views
from tests.stablerep.training.test_step import source
from tests.stablerep.training.test_views import NOTHING

STABLEREP = StableRep(images_per_caption=2)


class Pooling(Encoder):
    """Takes images of any size; keeps those that it is trained on."""

    size_px = 8
    num_features = 6

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.GELU(), nn.AdaptiveAvgPool2d(1))
        self.seen: list[torch.Tensor] = []

    def forward(self, images):
        if self.training:
            self.seen.append(images)
        return self.layers(images).flatten(1)


def train(local=None, method=STABLEREP, head="global", **changes):
    """Returns the networks after one step, and the history's row."""
    torch.manual_seed(0)
    networks = Networks(Pooling(), ProjectionHead(6, 8, 5, batch_norm=head), None)
    settings = TrainingSettings(
        num_images=8,
        batch=BatchSettings(captions=4, images_per_caption=2, chunk=changes.pop("chunk", None)),
        log_every=1,
        local_crops=local or LocalCropSettings(),
        **changes,
    )
    (row,) = run_arm(Arm("arm", method, source(), 0), networks, settings, None)
    return networks, row


def shapes_of(networks):
    return [tuple(images.shape) for images in networks.encoder.seen]


@pytest.mark.parametrize(("size_px", "side"), [(6, 6), (None, 8)])
@pytest.mark.parametrize("method", [STABLEREP, SimCLR()], ids=["one view", "two views"])
def test_crops_are_as_many_and_as_large_as_asked_beside_the_views(size_px, side, method):
    networks, row = train(LocalCropSettings(per_image=3, size_px=size_px), method)
    num_images = 8 // method.views_per_image
    assert shapes_of(networks) == [(8, 3, 8, 8), (3 * num_images, 3, side, side)]
    assert row["images"] == 8, "crops are not counted"


def test_a_chunk_holds_crops_or_views_and_never_both():
    networks, _ = train(LocalCropSettings(per_image=2, size_px=6), chunk=5)
    pieces = [(5, 3, 8, 8), (3, 3, 8, 8), (5, 3, 6, 6), (5, 3, 6, 6), (5, 3, 6, 6), (1, 3, 6, 6)]
    assert shapes_of(networks) == 2 * pieces


def test_without_crops_a_step_encodes_its_views_and_has_no_loss_of_crops():
    networks, row = train()
    assert shapes_of(networks) == [(8, 3, 8, 8)]
    assert "local_crops" not in row


def test_crops_have_their_share_of_the_area_and_views_keep_theirs():
    drawn = AugmentationSettings(**NOTHING)
    torch.manual_seed(0)
    local = measured_views.crops(Augmentation(drawn, measured_views.SIDE, (0.1, 0.4)), 400)["area"]
    assert 0.09 < local.min() < 0.15
    assert 0.35 < local.max() < 0.41
    assert measured_views.crops(Augmentation(drawn, measured_views.SIDE), 40)["area"].min() > 0.97


@pytest.mark.parametrize("head", ["global", "per_view"])
def test_the_loss_is_that_of_the_formula_by_hand(head):
    """Views against views plus crops against views, both as means, after one head for all of them."""
    networks, row = train(LocalCropSettings(per_image=2), head=head, learning_rate=0.0)
    views, crops = (images.detach() for images in networks.encoder.seen)
    batch = next(GroupedSampler(source(), 8, 2, 0).batches())
    labels = batch.text_rows[batch.caption_N]
    with torch.no_grad():
        features = networks.encoder(torch.cat([views, crops]))
        if head == "global":
            z = networks.projector.head.layers(features)
        else:  # the first images of all captions apart from the second ones, and each crop likewise
            order = torch.arange(24).reshape(12, 2).T.reshape(2, 3, 4).transpose(0, 1).reshape(6, 4)
            parts = [networks.projector.head.layers(features[rows]) for rows in order]
            z = torch.cat(parts)[torch.argsort(order.flatten())]
        z = F.normalize(z, dim=1)
        expected = []
        for crop, label in zip(z[8:], labels.repeat(2), strict=True):
            log_q = (z[:8] @ crop / 0.1).log_softmax(dim=0)
            expected.append(-log_q[labels == label].mean())
        of_crops = float(torch.stack(expected).mean())
        of_views = float(multi_positive_loss(z[:8], labels, 0.1))
    assert row["local_crops"] == pytest.approx(of_crops, rel=1e-4)
    assert row["loss"] == pytest.approx(of_views + of_crops, rel=1e-4)


def test_crops_move_the_encoder():
    plain, crops = (train(local)[0] for local in (None, LocalCropSettings(per_image=1)))
    one, other = (each.encoder.layers[0].weight.grad for each in (plain, crops))
    assert not torch.allclose(one, other)


def test_a_crop_has_the_label_of_its_image_and_a_slice_of_its_own():
    arm = Arm("arm", STABLEREP, source(), 0)
    batch = next(GroupedSampler(source(), 8, 2, 0).batches())
    inputs = inputs_of(arm, batch, None, torch.device("cpu"), 2)
    assert inputs.local_labels_k.tolist() == inputs.labels_N.tolist() * 2
    assert inputs.num_slices == 6
    assert torch.bincount(inputs.slice_n).tolist() == [4] * 6


def test_a_method_that_compares_images_with_captions_alone_is_refused():
    local = LocalCropSettings(per_image=2)
    with pytest.raises(ConfigError, match=r"per_image: got 2 for arm 'arm'; must be 0 for CLIP"):
        check_local_crops("arm", CLIP(), Pooling(), local)
    check_local_crops("arm", CLIP(), Pooling(), LocalCropSettings())


def test_an_encoder_that_gives_other_features_of_small_crops_is_refused():
    local = LocalCropSettings(per_image=2, size_px=16)
    encoder = ResidualEncoder((8, 8), 4, 32)
    with pytest.raises(ConfigError, match="size_px: got 16, of which the encoder gives 64 features, and 256"):
        check_local_crops("arm", STABLEREP, encoder, local)
    assert encoder.training
    check_local_crops("arm", STABLEREP, encoder, LocalCropSettings(per_image=2))


def test_a_vision_transformer_takes_small_crops_where_its_size_is_dynamic():
    local = LocalCropSettings(per_image=2, size_px=16)
    options = {"depth": 1, "embed_dim": 12, "num_heads": 2, "patch_size": 8}
    with pytest.raises(ConfigError, match=r"must be a size that the encoder takes .*dynamic_img_size=true"):
        check_local_crops("arm", STABLEREP, TimmEncoder("vit_tiny_patch16_224", 32, **options), local)
    dynamic = TimmEncoder("vit_tiny_patch16_224", 32, dynamic_img_size=True, **options)
    check_local_crops("arm", STABLEREP, dynamic, local)


def test_a_run_checks_its_crops_before_its_first_step(monkeypatch):
    monkeypatch.setattr(shared_reading, "read_ahead", None)
    with pytest.raises(ConfigError, match="must be 0 for CLIP"):
        train(LocalCropSettings(per_image=1), CLIP())


def test_a_range_of_crops_that_is_none_is_refused():
    with pytest.raises(
        ConfigError, match=r"min_crop: got 0\.5; must be <= training\.local_crops\.max_crop = 0\.3"
    ):
        LocalCropSettings(min_crop=0.5, max_crop=0.3)
