"""A moving average of the weights, which is exported in their place where it is asked for."""

from torch import Tensor, nn


class Average:
    """The exponential moving average of the floating-point weights and statistics.

    Attributes:
        weights: by name; empty where none is kept.
    """

    def __init__(self, model: nn.Module, decay: float | None) -> None:
        """Starts from the model's weights.

        Args:
            model: on its device.
            decay: share of the average that a step keeps; None keeps no average.
        """
        self.decay = decay
        self.weights: dict[str, Tensor] = {}
        if decay is not None:
            state = model.state_dict()
            self.weights = {k: v.detach().clone() for k, v in state.items() if v.is_floating_point()}

    def update(self, model: nn.Module) -> None:
        """Moves the average towards the model's weights."""
        if self.decay is None:
            return
        state = model.state_dict()
        for name, mean in self.weights.items():
            mean.lerp_(state[name].detach(), 1 - self.decay)

    def apply_to(self, model: nn.Module) -> None:
        """Puts the average in the weights' place."""
        if self.decay is not None:
            model.load_state_dict(self.weights, strict=False)
