"""A moving average of the weights, which is exported in their place where it is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The exponential moving average of the floating-point weights and statistics, reached by a ramp.

    Step t, from 0, keeps min(decay, (1 + t) / (10 + t)) of the average: the rule of TensorFlow's
    `ExponentialMovingAverage` with `num_updates`. A decay that averages over 10,000 steps averages over about
    the last ninth of a run of 100. After t steps of the ramp the share of the initial weights is
    1 / C(t + 9, 9): 1 / 715 after four.

    Attributes:
        weights: by name; empty where none is kept.
    """

    def __init__(self, model: nn.Module, decay: float | None) -> None:
        """Starts from the model's weights.

        Args:
            model: on its device.
            decay: largest share of the average that a step keeps; None keeps no average.
        """
        self.decay = decay
        self.weights: dict[str, Tensor] = {}
        if decay is not None:
            self.weights = _floating(model)

    def update(self, model: nn.Module, step: int) -> None:
        """Moves the average towards the model's weights.

        Args:
            model: after the step.
            step: number of the step, from 0.
        """
        if self.decay is None:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        state = model.state_dict()
        for name, mean in self.weights.items():
            mean.lerp_(state[name].detach(), 1 - decay)

    def apply_to(self, model: nn.Module) -> None:
        """Puts the average in the weights' place."""
        if self.decay is not None:
            model.load_state_dict(self.weights, strict=False)

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """Puts the average in the weights' place for a while, and the weights back afterwards."""
        if self.decay is None:
            yield
            return
        weights = _floating(model)
        self.apply_to(model)
        try:
            yield
        finally:
            model.load_state_dict(weights, strict=False)


def _floating(model: nn.Module) -> dict[str, Tensor]:
    """Returns copies of the floating-point weights and statistics."""
    state = model.state_dict()
    return {name: each.detach().clone() for name, each in state.items() if torch.is_floating_point(each)}
