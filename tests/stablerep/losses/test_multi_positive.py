"""The multi-positive loss against a naive loop, closed forms and gradients."""

import math

import pytest
import torch
from torch.nn import functional as F

from stablerep.errors import ConfigError
from stablerep.losses.multi_positive import multi_positive_loss


def unit(num: int, dims: int = 8, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(num, dims, generator=generator, dtype=dtype), dim=1)


def naive_loss(z, labels, temperature):
    """Equation by equation, one anchor and one candidate at a time."""
    losses = []
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        weights = [math.exp(float(z[i] @ z[j]) / temperature) for j in others]
        positives = [j for j in others if labels[j] == labels[i]]
        if not positives:
            continue
        log_q = {j: math.log(w / sum(weights)) for j, w in zip(others, weights, strict=True)}
        losses.append(-sum(log_q[j] for j in positives) / len(positives))
    return sum(losses) / len(losses) if losses else 0.0


@pytest.mark.parametrize(
    "labels",
    [[0, 0, 1, 1, 2, 2], [0, 1, 2, 0, 1, 2], [5, 5, 5, 1, 1, 9], [3, 3, 3, 3, 3, 3]],
)
def test_loss_equals_a_naive_loop(labels):
    z = unit(6)
    expected = naive_loss(z, labels, 0.1)
    assert float(multi_positive_loss(z, torch.tensor(labels), 0.1)) == pytest.approx(expected, rel=1e-5)


def test_other_labels_at_the_same_batch_size_give_another_loss():
    z = unit(6)
    first = multi_positive_loss(z, torch.tensor([0, 0, 0, 1, 1, 1]), 0.1)
    second = multi_positive_loss(z, torch.tensor([0, 1, 0, 1, 0, 1]), 0.1)
    assert float(second) == pytest.approx(naive_loss(z, [0, 1, 0, 1, 0, 1], 0.1), rel=1e-5)
    assert float(first) != pytest.approx(float(second))


def test_equal_captions_are_positives_wherever_they_stand():
    z = unit(8)
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    order = torch.tensor([3, 7, 0, 5, 2, 6, 1, 4])
    assert torch.allclose(
        multi_positive_loss(z, labels, 0.1), multi_positive_loss(z[order], labels[order], 0.1)
    )


def test_identical_embeddings_give_the_logarithm_of_the_number_of_candidates():
    z = torch.ones(10, 4) / 2
    loss = multi_positive_loss(z, torch.arange(10) // 2, 0.1)
    assert float(loss) == pytest.approx(math.log(9), rel=1e-5)


def test_one_group_of_identical_embeddings_and_far_others_gives_the_logarithm_of_the_positives():
    z = torch.cat([torch.eye(4)[:1].repeat(3, 1), -torch.eye(4)[:1].repeat(3, 1)])
    loss = multi_positive_loss(z, torch.tensor([0, 0, 0, 1, 1, 1]), 0.01)
    assert float(loss) == pytest.approx(math.log(2), rel=1e-5)


def test_anchors_without_a_positive_are_not_counted():
    z = unit(5)
    labels = torch.tensor([0, 0, 1, 2, 3])
    assert float(multi_positive_loss(z, labels, 0.1)) == pytest.approx(
        naive_loss(z, labels.tolist(), 0.1), rel=1e-5
    )


def test_a_batch_without_positives_gives_zero_and_a_finite_gradient():
    z = unit(4).requires_grad_()
    loss = multi_positive_loss(z, torch.arange(4), 0.1)
    loss.backward()
    assert float(loss) == 0
    assert torch.equal(z.grad, torch.zeros_like(z))


def test_gradient_is_right_in_double_precision():
    raw = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 0, 1, 1, 2])

    def loss_of(x):
        # the loss computes in float32; a double-precision twin tells whether its formula is differentiable so
        z = F.normalize(x, dim=1)
        logits = z @ z.T / 0.5
        eye = torch.eye(6, dtype=torch.bool)
        positive = (labels[:, None] == labels[None]) & ~eye
        has = positive.any(dim=1)
        log_q = logits - logits.masked_fill(eye, -torch.inf).logsumexp(1, keepdim=True)
        per = -(log_q.masked_fill(~positive, 0)).sum(1) / positive.sum(1).clamp(min=1)
        return per[has].mean()

    mine = raw.clone().requires_grad_()
    multi_positive_loss(F.normalize(mine, dim=1), labels, 0.5).backward()
    theirs = raw.clone().requires_grad_()
    loss_of(theirs).backward()
    assert torch.allclose(mine.grad, theirs.grad, atol=1e-6)
    assert torch.autograd.gradcheck(loss_of, (raw.clone().requires_grad_(),))


def test_loss_is_computed_in_float32_under_autocast():
    z = unit(16)
    labels = torch.arange(16) // 4
    plain = multi_positive_loss(z, labels, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = multi_positive_loss(z, labels, 0.1)
    assert mixed.dtype == torch.float32
    assert torch.equal(plain, mixed)


@pytest.mark.parametrize("temperature", [0.0, -0.1, float("nan")])
def test_a_temperature_that_is_not_positive_is_an_error(temperature):
    with pytest.raises(ConfigError, match=r"method\.temperature"):
        multi_positive_loss(unit(4), torch.arange(4) // 2, temperature)


def test_shapes_that_do_not_fit_are_an_error():
    with pytest.raises(ValueError, match=r"must be \(N, D\)"):
        multi_positive_loss(unit(4), torch.arange(3), 0.1)
