"""The loss of local crops against a naive loop, closed forms and gradients, and in parts."""

import math
from dataclasses import replace

import pytest
import torch

from stablerep.methods import local_crops
from stablerep.methods.local_crops import local_crop_loss
from stablerep.methods.method import Embedded
from tests.stablerep.methods.test_multi_positive import unit

LABELS = torch.tensor([7, 2, 7, 2, 5, 7])  # of views: three of one caption, two of another, one of a third
LOCAL_LABELS = torch.tensor([2, 5, 7, 7])


def batch_of(z, local):
    return Embedded(z, LABELS, local_kD=local, local_labels_k=LOCAL_LABELS, num_local=len(local))


def naive_loss(z, local, temperature):
    """One crop and one view at a time: the views are the candidates, and no crop is."""
    total = 0.0
    for crop, label in zip(local, LOCAL_LABELS, strict=True):
        logits = [torch.dot(crop, view) / temperature for view in z]
        log_sum = torch.stack(logits).exp().sum().log()
        positives = [logits[j] for j in range(len(z)) if LABELS[j] == label]
        total = total + log_sum - sum(positives) / len(positives)
    return total / len(local)


@pytest.mark.parametrize("tile", [2, 4096])
def test_the_loss_and_its_gradients_are_those_of_a_naive_loop(tile, monkeypatch):
    monkeypatch.setattr(local_crops, "_TILE", tile)
    gradients = []
    for loss_of in (
        lambda z, local: local_crop_loss(batch_of(z, local), 0.2),
        lambda *x: naive_loss(*x, 0.2),
    ):
        z = unit(6, dtype=torch.float64).requires_grad_()
        local = unit(4, seed=1, dtype=torch.float64).requires_grad_()
        loss = loss_of(z, local)
        loss.backward()
        gradients.append([loss.detach(), z.grad, local.grad])
    for mine, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, expected)
    assert gradients[0][1].abs().min() > 0, "the views are moved too"


def test_a_crop_that_sees_all_views_alike_has_the_logarithm_of_their_number():
    z = torch.eye(8)[0].expand(6, 8)
    assert float(local_crop_loss(batch_of(z, unit(4)), 0.1)) == pytest.approx(math.log(6))


def test_a_crop_that_finds_its_captions_views_has_the_logarithm_of_their_number():
    """Views of one caption in one place, others at right angles: the softmax is even over the positives."""
    axes = torch.eye(8)[[0, 1, 0, 1, 2, 0]]
    local = torch.eye(8)[[1, 2, 0, 0]]
    expected = (math.log(2) + math.log(1) + 2 * math.log(3)) / 4
    assert float(local_crop_loss(batch_of(axes, local), 0.01)) == pytest.approx(expected, abs=1e-5)


def test_the_parts_of_processes_add_up_to_the_loss():
    whole = batch_of(unit(6), unit(4, seed=1))
    parts = [
        replace(whole, local_kD=whole.local_kD[rows], local_labels_k=LOCAL_LABELS[rows])
        for rows in (slice(0, 2), slice(2, 4))
    ]
    total = sum(local_crop_loss(part, 0.1) for part in parts)
    torch.testing.assert_close(total, local_crop_loss(whole, 0.1))


def test_a_batch_without_crops_is_refused():
    with pytest.raises(ValueError, match="without local crops"):
        local_crop_loss(Embedded(unit(6), LABELS), 0.1)
