"""What the optimiser needs besides gradients: which weights decay, how many steps, and the rate of each."""

import math
from dataclasses import dataclass
from typing import Self

from torch import nn

from stablerep.training.settings import TrainingSettings


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Splits parameters: weight decay on matrices and kernels, none on norms, biases and scalars."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


@dataclass(frozen=True)
class Schedule:
    """How long an arm is trained, and its learning rate.

    An epoch is a pass over the captions with `batch.images_per_caption` images of each, and has the same
    number of steps for every method: one that takes fewer views of a caption passes over the captions more
    often. What does not fill a batch at an epoch's end is left out.

    Attributes:
        num_steps: of the whole run.
        warmup_steps: with a rising rate; may be fractional.
        steps_per_epoch: one at least.
    """

    num_steps: int
    warmup_steps: float
    steps_per_epoch: int

    @classmethod
    def of(cls, settings: TrainingSettings, num_captions: int) -> Self:
        """Works it out.

        Args:
            settings: `num_images` or `epochs`, and `warmup_share` or `warmup_epochs`.
            num_captions: that the arm is trained on.
        """
        steps_per_epoch = max(1, num_captions // settings.batch.captions)
        if settings.epochs is not None:
            num_steps = max(1, round(settings.epochs * steps_per_epoch))
        else:
            assert settings.num_images is not None  # noqa: S101 -- the settings have one of the two
            num_steps = max(1, settings.num_images // settings.batch.num_views)
        warmup_steps = (settings.warmup_share or 0.0) * num_steps
        if settings.warmup_epochs is not None:
            warmup_steps = min(settings.warmup_epochs * steps_per_epoch, num_steps)
        return cls(num_steps, warmup_steps, steps_per_epoch)

    def rate_factor(self, step: int) -> float:
        """Returns the share of the peak learning rate: a linear warm-up, then half a cosine to zero.

        Args:
            step: from 0. The first one's rate is not zero but that of the end of its step.
        """
        if step < self.warmup_steps:
            return min(1.0, (step + 1) / self.warmup_steps)
        progress = (step - self.warmup_steps) / max(1.0, self.num_steps - self.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * progress))

    def __str__(self) -> str:
        """Says it in a sentence, for the log."""
        epochs, warmup = (steps / self.steps_per_epoch for steps in (self.num_steps, self.warmup_steps))
        return (
            f"{self.num_steps} steps in {epochs:.3g} epochs of {self.steps_per_epoch} steps; warm-up "
            f"{self.warmup_steps:.4g} steps, {warmup:.3g} epochs"
        )
