"""What the steps measure, kept on the device until the host looks.

Reading a number of a GPU has the host wait until the GPU has done all that it was given; nothing is given to
it meanwhile. So the loss and the other numbers of a step stay there, and are read for many steps at once.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stablerep.training.batches import Batch
from stablerep.training.checkpoint import Progress

MOST_UNSEEN = 100  # steps between two looks; each of their batches is remembered


@dataclass(frozen=True)
class Fault:
    """A step whose loss or gradient is not finite.

    Attributes:
        step: its number.
        batch: this process's part.
        loss: of the whole batch.
        grad_norm: of all gradients.
    """

    step: int
    batch: Batch
    loss: float
    grad_norm: float


class Measured:
    """The numbers of the steps since the host last looked."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, Batch]] = []
        self._names: tuple[str, ...] = ()
        self._values: list[Tensor] = []
        self._fault: Fault | None = None

    def add(self, step: int, batch: Batch, values: dict[str, Tensor]) -> None:
        """Adds a step's scalars; `loss` and `grad_norm` are among them."""
        self._steps.append((step, batch))
        self._names = tuple(values)
        self._values.append(torch.stack([each.detach() for each in values.values()]))

    def move_to(self, progress: Progress) -> Fault | None:
        """Waits for the device, and adds what it measured to the sums, up to a step that is not finite.

        Returns:
            That step; from then on it is returned again.
        """
        if self._fault is None and self._values:
            rows = torch.stack(self._values).tolist()
            for (step, batch), row in zip(self._steps, rows, strict=True):
                measured = dict(zip(self._names, row, strict=True))
                if not (math.isfinite(measured["loss"]) and math.isfinite(measured["grad_norm"])):
                    self._fault = Fault(step, batch, measured["loss"], measured["grad_norm"])
                    break
                progress.add(measured)
            self._steps, self._values = [], []
        return self._fault
