"""The multi-positive loss, dense and tiled, against a naive loop, closed forms and gradients."""

import functools
import math

import pytest
import torch
from torch.nn import functional as F

from stablerep.errors import ConfigError
from stablerep.methods.multi_positive import multi_positive_loss

FORMS = {
    "dense": multi_positive_loss,
    "tiles of 1": functools.partial(multi_positive_loss, tile=1),
    "tiles of 3": functools.partial(multi_positive_loss, tile=3),
    "one tile": functools.partial(multi_positive_loss, tile=64),
}


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def loss_of(request):
    return request.param


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
def test_loss_equals_a_naive_loop(loss_of, labels):
    z = unit(6)
    expected = naive_loss(z, labels, 0.1)
    assert float(loss_of(z, torch.tensor(labels), 0.1)) == pytest.approx(expected, rel=1e-5)


def test_other_labels_at_the_same_batch_size_give_another_loss(loss_of):
    z = unit(6)
    first = loss_of(z, torch.tensor([0, 0, 0, 1, 1, 1]), 0.1)
    second = loss_of(z, torch.tensor([0, 1, 0, 1, 0, 1]), 0.1)
    assert float(second) == pytest.approx(naive_loss(z, [0, 1, 0, 1, 0, 1], 0.1), rel=1e-5)
    assert float(first) != pytest.approx(float(second))


def test_equal_captions_are_positives_wherever_they_stand(loss_of):
    z = unit(8)
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    order = torch.tensor([3, 7, 0, 5, 2, 6, 1, 4])
    assert torch.allclose(loss_of(z, labels, 0.1), loss_of(z[order], labels[order], 0.1))


def test_identical_embeddings_give_the_logarithm_of_the_number_of_candidates(loss_of):
    z = torch.ones(10, 4) / 2
    loss = loss_of(z, torch.arange(10) // 2, 0.1)
    assert float(loss) == pytest.approx(math.log(9), rel=1e-5)


def test_one_group_of_identical_embeddings_and_far_others_gives_the_logarithm_of_the_positives(loss_of):
    z = torch.cat([torch.eye(4)[:1].repeat(3, 1), -torch.eye(4)[:1].repeat(3, 1)])
    loss = loss_of(z, torch.tensor([0, 0, 0, 1, 1, 1]), 0.01)
    assert float(loss) == pytest.approx(math.log(2), rel=1e-5)


def test_anchors_without_a_positive_are_not_counted(loss_of):
    z = unit(5)
    labels = torch.tensor([0, 0, 1, 2, 3])
    assert float(loss_of(z, labels, 0.1)) == pytest.approx(naive_loss(z, labels.tolist(), 0.1), rel=1e-5)


def test_a_batch_without_positives_gives_zero_and_a_finite_gradient(loss_of):
    z = unit(4).requires_grad_()
    loss = loss_of(z, torch.arange(4), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(z.grad, torch.zeros_like(z))


def test_gradient_is_right_in_double_precision(loss_of):
    raw = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 0, 1, 1, 2, 0])
    assert torch.autograd.gradcheck(
        lambda x: loss_of(F.normalize(x, dim=1), labels, 0.5), (raw.requires_grad_(),)
    )


@pytest.mark.parametrize("tile", [1, 4, 5, 64, 100])
def test_tiles_of_any_size_give_the_dense_value_and_gradient(tile):
    labels = torch.randint(0, 12, (33,), generator=torch.Generator().manual_seed(2))
    dense, tiled = (unit(33, dtype=torch.float64).requires_grad_() for _ in range(2))
    first = multi_positive_loss(dense, labels, 0.07)
    second = multi_positive_loss(tiled, labels, 0.07, tile)
    (3 * first).backward()
    (3 * second).backward()
    assert torch.allclose(first, second, rtol=1e-12)
    assert torch.allclose(dense.grad, tiled.grad, rtol=1e-10, atol=1e-14)


def test_a_sharp_temperature_does_not_overflow(loss_of):
    z = unit(9).requires_grad_()
    loss = loss_of(z, torch.arange(9) // 3, 1e-3)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(z.grad).all()


def test_a_single_embedding_has_no_loss(loss_of):
    z = unit(1).requires_grad_()
    loss = loss_of(z, torch.tensor([0]), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(z.grad, torch.zeros_like(z))


def test_a_tile_below_one_is_an_error():
    with pytest.raises(ConfigError, match="tile: got 0"):
        multi_positive_loss(unit(4), torch.arange(4) // 2, 0.1, tile=0)


def test_loss_is_computed_in_float32_under_autocast(loss_of):
    z = unit(16)
    labels = torch.arange(16) // 4
    plain = loss_of(z, labels, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = loss_of(z, labels, 0.1)
    assert mixed.dtype == torch.float32
    assert torch.equal(plain, mixed)


@pytest.mark.parametrize("temperature", [0.0, -0.1, float("nan")])
def test_a_temperature_that_is_not_positive_is_an_error(loss_of, temperature):
    with pytest.raises(ConfigError, match="temperature: got"):
        loss_of(unit(4), torch.arange(4) // 2, temperature)


def test_shapes_that_do_not_fit_are_an_error(loss_of):
    with pytest.raises(ValueError, match=r"must be \(N, D\)"):
        loss_of(unit(4), torch.arange(3), 0.1)


def test_tiles_keep_nothing_of_the_size_of_the_matrix_for_the_backward_pass():
    def largest_kept(tile):
        sizes = []

        def keep(tensor):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            multi_positive_loss(unit(65).requires_grad_(), torch.arange(65) // 3, 0.1, tile)
        return max(sizes)

    assert largest_kept(None) >= 65 * 65  # the dense form does: what is counted is what is meant
    assert largest_kept(7) <= 65 * 8
