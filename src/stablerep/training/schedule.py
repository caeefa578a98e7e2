"""What the optimiser needs besides gradients: which weights decay, and the learning rate of each step."""

import math

from torch import nn


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Splits parameters: weight decay on matrices and kernels, none on norms, biases and scalars."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def rate_factor(step: int, num_steps: int, warmup_share: float) -> float:
    """Returns the share of the peak learning rate: linear warm-up, then half a cosine to zero."""
    warmup = warmup_share * num_steps
    if step < warmup:
        return (step + 1) / max(1.0, warmup)
    progress = (step - warmup) / max(1.0, num_steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))
