"""LARS by hand, and that AdamW stays the default."""

import pytest
import torch
from torch import nn

from stablerep.training.optimizer import build_optimizer
from stablerep.training.settings import TrainingSettings

CPU = torch.device("cpu")
RATE, MOMENTUM, TRUST = 0.5, 0.8, 0.01


def lars(model, weight_decay):
    settings = TrainingSettings(
        num_images=1,
        optimizer="lars",
        learning_rate=RATE,
        momentum=MOMENTUM,
        trust_coefficient=TRUST,
        weight_decay=weight_decay,
    )
    return build_optimizer(model, settings, CPU)


def model_with(gradients):
    """Returns a linear layer, to be given these gradients of its weight one after another."""
    model = nn.Linear(2, 1)
    model.weight.data = torch.tensor([[3.0, 4.0]])
    model.bias.data = torch.tensor([1.0])
    return model, [torch.tensor([gradient]) for gradient in gradients]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_matrix_moves_by_its_trust_ratio(weight_decay):
    """|w| = 5 and |g| = 10: the ratio is 0.01 x 5 / (10 + 0.1 x 5)."""
    model, (gradient,) = model_with([[6.0, -8.0]])
    model.weight.grad = gradient
    lars(model, weight_decay).step()
    ratio = TRUST * 5 / (10 + weight_decay * 5)
    moved = [w - RATE * ratio * (g + weight_decay * w) for w, g in ((3, 6), (4, -8))]
    torch.testing.assert_close(model.weight.data, torch.tensor([moved]))


def test_the_momentum_is_that_of_the_scaled_gradients():
    model, gradients = model_with([[6.0, -8.0], [0.0, 2.0]])
    optimizer = lars(model, 0.0)
    w, v = model.weight.detach().clone(), torch.zeros(1, 2)
    for gradient in gradients:
        model.weight.grad = gradient.clone()
        optimizer.step()
        v = MOMENTUM * v + TRUST * w.norm() / gradient.norm() * gradient
        w = w - RATE * v
        torch.testing.assert_close(model.weight.data, w)


def test_a_bias_moves_without_a_ratio_and_without_decay():
    model, _ = model_with([])
    model.bias.grad = torch.tensor([2.0])
    lars(model, 0.1).step()
    assert model.bias.item() == pytest.approx(1 - RATE * 2)


def test_how_large_a_gradient_is_does_not_matter_to_a_matrix():
    moved = []
    for size in (1.0, 1000.0):
        model, _ = model_with([])
        model.weight.grad = size * torch.tensor([[1.0, 2.0]])
        lars(model, 0.0).step()
        moved.append(model.weight.data)
    torch.testing.assert_close(*moved)


def test_adamw_is_the_default():
    settings = TrainingSettings(num_images=1, betas=(0.5, 0.6), weight_decay=0.3)
    optimizer = build_optimizer(nn.Linear(2, 2), settings, CPU)
    assert type(optimizer) is torch.optim.AdamW
    assert optimizer.defaults["betas"] == (0.5, 0.6)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]
