"""The optimiser of an arm: AdamW, or LARS for large batches."""

import torch
from torch import nn

from stablerep.training.schedule import decay_groups
from stablerep.training.settings import TrainingSettings


def build_optimizer(
    networks: nn.Module, settings: TrainingSettings, device: torch.device
) -> torch.optim.Optimizer:
    """Returns the optimiser that the settings choose.

    LARS (arXiv:1708.03888, algorithm 1) is timm's: with m the momentum, rate the learning rate, b the weight
    decay and c the trust coefficient, a matrix or kernel w with gradient g moves by

        v <- m v + c |w| / (|g| + b |w|) (g + b w),    w <- w - rate v

    Norms, biases and scalars move with v <- m v + g, without the ratio, as in SimCLR (arXiv:2002.05709,
    section 2.3). The paper has the rate inside of v, which is the same where the rate is constant.

    Args:
        networks: whose weights are trained.
        settings: which one, its learning rate and the rest.
        device: where the weights will be.
    """
    groups = decay_groups(networks, settings.weight_decay)
    if settings.optimizer == "lars":
        from timm.optim import Lars

        # timm leaves the ratio out where the weight decay is 0
        groups[0]["always_adapt"] = True
        return Lars(
            groups,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            trust_coeff=settings.trust_coefficient,
        )
    return torch.optim.AdamW(
        groups,
        lr=settings.learning_rate,
        betas=settings.betas,
        # one kernel for all weights, not a dozen for each; a CPU's rounds otherwise and is no faster
        fused=True if device.type == "cuda" else None,
    )
