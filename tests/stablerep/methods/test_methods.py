"""Each method: what it needs of a batch, and which loss it gives."""

import math

import pytest
import torch
from torch.nn import functional as F

from stablerep.errors import ConfigError
from stablerep.methods.clip import CLIP
from stablerep.methods.image_text import image_text_loss
from stablerep.methods.method import Embedded
from stablerep.methods.multi_positive import multi_positive_loss
from stablerep.methods.simclr import SimCLR
from stablerep.methods.stablerep import StableRep
from stablerep.methods.stablerep_plus import StableRepPlus
from stablerep.methods.supcon import SupCon
from stablerep.methods.supervised import Supervised


def unit(num, seed):
    return F.normalize(torch.randn(num, 6, generator=torch.Generator().manual_seed(seed)), dim=1)


LABELS = torch.tensor([4, 4, 7, 7])
CAPTIONS = torch.tensor([0, 0, 1, 1])
SCALE = torch.tensor(1.0)
WITH_TEXT = Embedded(unit(4, 0), LABELS, unit(4, 1), unit(2, 2), CAPTIONS)


def test_stablerep_is_the_multi_positive_loss():
    parts = StableRep(images_per_caption=2)(Embedded(unit(4, 0), LABELS), None)
    assert torch.equal(parts["multi_positive"], multi_positive_loss(unit(4, 0), LABELS, 0.1))


def test_simclr_is_the_multi_positive_loss_over_two_views():
    parts = SimCLR()(Embedded(unit(4, 0), LABELS), None)
    assert torch.equal(parts["nt_xent"], multi_positive_loss(unit(4, 0), LABELS, 0.1))


def test_supcon_is_the_loss_of_its_paper():
    """Equation 2 of arXiv:2004.11362 as sums over anchors and positives."""
    z, labels, total = unit(5, 0), [4, 4, 7, 4, 7], 0.0
    for i in range(5):
        others = [j for j in range(5) if j != i]
        denominator = sum(torch.exp(z[i] @ z[a] / 0.1) for a in others)
        positives = [j for j in others if labels[j] == labels[i]]
        total -= sum(torch.log(torch.exp(z[i] @ z[p] / 0.1) / denominator) for p in positives) / len(
            positives
        )
    parts = SupCon()(Embedded(z, torch.tensor(labels)), None)
    assert parts["supervised"] == pytest.approx(float(total) / 5, rel=1e-5)


def test_supervised_is_the_cross_entropy_on_the_first_dimensions():
    z, labels = unit(5, 0), torch.tensor([4, 0, -3, 4, 1])  # the third has no label
    logits, known = 10 * z, labels >= 0
    expected = -sum(torch.log(logits[i].softmax(0)[labels[i]]) for i in range(5) if known[i]) / 4
    assert Supervised()(Embedded(z, labels), None)["classes"] == pytest.approx(float(expected), rel=1e-5)


def test_supervised_is_lowest_where_each_class_has_its_axis():
    labels = torch.tensor([0, 1, 2, 2])
    perfect = torch.eye(6)[labels]
    collapsed = torch.eye(6)[[3, 3, 3, 3]]
    batches = [Embedded(z, labels) for z in (perfect, unit(4, 0), collapsed)]
    losses = [float(Supervised()(batch, None)["classes"]) for batch in batches]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(math.log(1 + 5 * math.exp(-10)), rel=1e-3)


def test_supervised_without_a_label_is_zero_with_a_gradient():
    z = unit(3, 0).requires_grad_()
    loss = Supervised()(Embedded(z, torch.tensor([-1, -2, -3])), None)["classes"]
    loss.backward()
    assert loss.item() == 0 and not z.grad.any()


def test_supervised_with_more_classes_than_dimensions_says_so():
    with pytest.raises(ConfigError, match="class 6, counted from 0; must be < encoder.head.out_dim = 6"):
        Supervised()(Embedded(unit(2, 0), torch.tensor([0, 6])), None)


def test_clip_is_the_image_text_loss():
    expected = image_text_loss(unit(4, 1), unit(2, 2), CAPTIONS, SCALE)
    assert torch.equal(CLIP()(WITH_TEXT, SCALE)["image_text"], expected)


def test_stablerep_plus_adds_the_weighted_image_text_loss():
    parts = StableRepPlus(images_per_caption=2, text_weight=0.5)(WITH_TEXT, SCALE)
    assert torch.equal(parts["multi_positive"], multi_positive_loss(unit(4, 0), LABELS, 0.1))
    assert torch.equal(parts["image_text"], 0.5 * CLIP()(WITH_TEXT, SCALE)["image_text"])


def test_clip_without_text_says_what_is_missing():
    with pytest.raises(ValueError, match="without text"):
        CLIP()(Embedded(unit(4, 0), LABELS), SCALE)


@pytest.mark.parametrize("method", [StableRep, StableRepPlus])
def test_one_image_a_caption_leaves_no_positive_and_is_an_error(method):
    name = {StableRep: "stablerep", StableRepPlus: "stablerep_plus"}[method]
    with pytest.raises(ConfigError, match=rf"^method\.{name}\.images_per_caption: got 1"):
        method(images_per_caption=1)


@pytest.mark.parametrize("method", [StableRep, StableRepPlus, SimCLR, CLIP, SupCon])
def test_settings_are_checked_under_the_methods_own_key(method):
    name = "stablerep_plus" if method is StableRepPlus else method.__name__.lower()
    with pytest.raises(ConfigError, match=rf"^method\.{name}\.tile: got 0; must be >= 1"):
        method(tile=0)
    if method is not CLIP:
        with pytest.raises(ConfigError, match=rf"^method\.{name}\.temperature: got 0"):
            method(temperature=0)
