"""Training an arm end to end, at a size that takes seconds."""

import logging
import math
from dataclasses import replace

import pytest
import torch

from stablerep.digit_scenes.scenes import draw_scenes_of_captions
from stablerep.errors import DataError, TrainingError
from stablerep.image_sets.source import ImageSource
from stablerep.methods.batch import BatchSettings
from stablerep.methods.clip import CLIP
from stablerep.methods.simclr import SimCLR
from stablerep.methods.stablerep import StableRep
from stablerep.methods.stablerep_plus import StableRepPlus
from stablerep.methods.supcon import SupCon
from stablerep.models.encoders import build_encoder
from stablerep.models.settings import HeadSettings, TextSettings
from stablerep.models.text import build_text_tower, tokenize
from stablerep.models.tokenizer import build_tokenizer, tokenizer_of_files
from stablerep.storage.pixels import ImagesInMemory
from stablerep.training.arms import ArmPlan, train_arm
from stablerep.training.batches import GroupedSampler
from stablerep.training.inputs import Arm, inputs_of
from stablerep.training.settings import AugmentationSettings, TrainingSettings

ENCODER = {
    "_target_": "stablerep.models.residual.ResidualEncoder",
    "channels": [16, 16, 16],
    "map_channels": 8,
}
TEXTS = ("a red seven", "a nine", "a teal one", "a zero on a striped background", "a two", "a four")


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer(TEXTS, max_tokens=16).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def data():
    scenes = draw_scenes_of_captions(list(TEXTS), 4, "fit", 0)
    rows = torch.arange(len(TEXTS)).repeat_interleave(4)
    return ImageSource(
        "synthetic",
        ImagesInMemory((scenes.images * 255).to(torch.uint8)),
        rows,
        TEXTS,
        scenes.labels["digit"],
        origin={"num_images": 24},
    )


def plan(method, name="arm", tokenizer=None, **optimisation):
    settings = {"num_images": 96, "batch": BatchSettings(captions=4, images_per_caption=2), "log_every": 4}
    return ArmPlan(
        name, "method", method, "synthetic", ENCODER, HeadSettings(hidden_dim=32, out_dim=16),
        TextSettings(width=32, num_layers=1, num_heads=2, out_dim=16),
        TrainingSettings(**settings | optimisation), tokenizer, seed=0, num_threads=1,
    )  # fmt: skip


METHODS = [StableRep(images_per_caption=4), SimCLR(), CLIP(), StableRepPlus(images_per_caption=2), SupCon()]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_every_method_changes_the_encoder_and_keeps_a_history(method, data, tokenizer_folder):
    batch = (
        BatchSettings(captions=2, images_per_caption=2)
        if isinstance(method, CLIP)
        else BatchSettings(captions=4, images_per_caption=2)
    )
    trained = train_arm(plan(method, tokenizer=tokenizer_folder, batch=batch), data)
    assert trained.history["images"].iloc[-1] == 96
    assert trained.history["loss"].map(math.isfinite).all()
    assert {
        "embedding_std",
        "effective_rank",
        "learning_rate",
        "images_per_second",
        "waited_s",
        "grad_norm",
    } <= set(trained.history)
    encoder = build_encoder(trained.encoder_config)
    encoder.load_state_dict(trained.weights)
    untouched = train_arm(plan(method, tokenizer=tokenizer_folder, batch=batch, learning_rate=0.0), data)
    moved = [
        not torch.equal(trained.weights[k], untouched.weights[k]) for k in trained.weights if "conv" in k
    ]
    assert all(moved)


@pytest.mark.parametrize("of_folder", [True, False], ids=["given", "learned"])
@pytest.mark.parametrize("method", [CLIP(), StableRepPlus(images_per_caption=2)], ids=["clip", "plus"])
def test_methods_that_use_text_keep_the_trained_text_tower_and_its_tokenizer(
    method, of_folder, data, tokenizer_folder
):
    batch = BatchSettings(captions=2, images_per_caption=2)
    made = plan(method, tokenizer=tokenizer_folder if of_folder else None, batch=batch, num_images=16)
    text = train_arm(made, data).text
    assert text.sizes == {"width": 32, "num_layers": 1, "num_heads": 2, "out": 16}
    tokenizer = tokenizer_of_files(text.tokenizer)
    expected = build_tokenizer(TEXTS, 16) if of_folder else build_tokenizer(sorted(TEXTS), 64)
    assert tokenize(tokenizer, TEXTS).tolist() == tokenize(expected, TEXTS).tolist()
    tower = build_text_tower(build_encoder(ENCODER).num_features, tokenizer, **text.sizes)
    tower.load_state_dict(text.weights)
    still = replace(made, optimisation=made.optimisation.changed(learning_rate=0.0))
    untouched = train_arm(still, data).text
    for name in ("image_projection.weight", "transformer.text_projection.weight"):
        assert not torch.equal(text.weights[name], untouched.weights[name])


def test_an_arm_records_where_its_images_come_from(data):
    assert train_arm(plan(SimCLR()), data).data == {"num_images": 24}


def test_methods_without_text_keep_no_text_tower(data):
    assert train_arm(plan(SimCLR(), num_images=16), data).text is None


@pytest.mark.parametrize("method", [SimCLR(), StableRep(images_per_caption=4)], ids=["views", "images"])
def test_slices_of_the_batch_norm_hold_one_view_of_each_image_or_one_image_of_each_caption(method, data):
    batch = next(GroupedSampler(data, 4, method.images_per_caption, 0).batches())
    inputs = inputs_of(Arm("arm", method, data, 0), batch, None, torch.device("cpu"))
    labels, slices = inputs.labels_N, inputs.slice_n
    sizes = torch.unique(slices, return_counts=True)[1]
    assert len(sizes) == inputs.num_slices == method.images_per_caption * method.views_per_image
    assert len(torch.unique(sizes)) == 1, "the head splits the batch evenly"
    for number in torch.unique(slices):
        own = labels[slices == number]
        assert len(torch.unique(own)) == len(own), "no two positives in one slice"
        assert set(own.tolist()) == set(labels.tolist())


def test_labels_are_refused_where_the_images_have_none(data):
    with pytest.raises(DataError, match=r"arm 'arm': got images \(synthetic\) without classes"):
        train_arm(plan(SupCon()), replace(data, labels=None))


def test_an_image_without_a_label_has_its_own_views_for_positives(data):
    """With no label at all SupCon is SimCLR, whose loss and weights are known."""
    unlabelled = train_arm(plan(SupCon()), replace(data, labels=torch.full_like(data.labels, -1)))
    one_class = replace(data, labels=torch.zeros_like(data.labels))
    labelled, simclr = train_arm(plan(SupCon()), one_class), train_arm(plan(SimCLR()), data)
    assert all(torch.equal(unlabelled.weights[k], simclr.weights[k]) for k in simclr.weights)
    assert not all(torch.equal(labelled.weights[k], simclr.weights[k]) for k in simclr.weights)


def test_a_probe_looks_every_so_often_and_changes_nothing_else(data):
    settings = {
        "batch": BatchSettings(captions=2, images_per_caption=2),
        "num_images": 48,
        "log_every": 2,
        "num_probe_captions": 2,
        "probe_every": 4,
    }
    watched = train_arm(plan(SimCLR(), **settings), data).history
    assert watched["step"][watched["knn_accuracy"].notna()].tolist() == [4, 8, 12]
    unwatched = train_arm(plan(SimCLR(), **settings | {"probe_every": 1000}), data).history
    assert watched["loss"].tolist() == unwatched["loss"].tolist()


def test_the_loss_falls(data):
    gentle = AugmentationSettings(min_crop=0.6, blur_probability=0.0, flip_probability=0.0)
    settings = {
        "num_images": 2400,
        "batch": BatchSettings(captions=6, images_per_caption=4),
        "log_every": 10,
        "augmentation": gentle,
    }
    history = train_arm(plan(StableRep(images_per_caption=4), **settings), data).history
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]


def test_the_same_plan_gives_the_same_weights(data):
    first, second = (train_arm(plan(SimCLR()), data) for _ in range(2))
    assert all(torch.equal(first.weights[k], second.weights[k]) for k in first.weights)


def test_arms_start_from_the_same_encoder(data):
    first = train_arm(plan(SimCLR(), learning_rate=0.0), data)
    second = train_arm(plan(StableRep(images_per_caption=2), name="other", learning_rate=0.0), data)
    assert all(torch.equal(first.weights[k], second.weights[k]) for k in first.weights if "conv" in k)


def test_a_loss_that_is_not_finite_stops_with_the_step(data):
    given = plan(SimCLR(), warmup_share=0.0)
    too_fast = given.optimisation.model_copy(update={"learning_rate": 1e30})  # which the settings refuse
    with pytest.raises(TrainingError, match=r"arm 'arm'.*at step \d+; must be finite. The batch's captions"):
        train_arm(replace(given, optimisation=too_fast), data)


def test_rank_measures_are_told_where_they_are_asked_for(data, tokenizer_folder, caplog):
    asked = {"rank_measures": ("rankme", "lidar"), "batch": BatchSettings(captions=2, images_per_caption=2)}
    plain = train_arm(plan(StableRep(images_per_caption=2), **asked | {"rank_measures": ()}), data)
    both = train_arm(plan(StableRep(images_per_caption=2), **asked), data)
    assert {"rankme", "lidar"}.isdisjoint(plain.history)
    assert both.history["rankme"].between(1, 4).all()
    assert both.history["lidar"].between(1, 1 + 1e-6).all(), "two captions differ in one direction"
    assert plain.history["loss"].tolist() == both.history["loss"].tolist()
    with caplog.at_level(logging.INFO):
        clip = train_arm(plan(CLIP(), tokenizer=tokenizer_folder, **asked), data)
    assert "arm: no lidar: its method shows one view of each caption" in caplog.text
    assert clip.history["rankme"].notna().all()
    assert "lidar" not in clip.history
