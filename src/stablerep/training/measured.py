"""What the steps measure, kept on the device until the host looks.

Reading a number of a GPU has the host wait until the GPU has done all that it was given; nothing is given to
it meanwhile. So the loss and the other numbers of a step stay there, and are read for many steps at once.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stablerep.errors import TrainingError
from stablerep.seeding import random_states, restore_random_states
from stablerep.training.batches import Batch
from stablerep.training.checkpoint import Checkpoint, Progress
from stablerep.training.inputs import Arm
from stablerep.training.settings import TrainingSettings

_NUM_SHOWN = 20  # captions of a batch, in a message
_MOST_UNSEEN = 100  # steps between two looks; each of their batches is remembered


def looks_every(device: torch.device, settings: TrainingSettings) -> int:
    """Returns after how many steps the host reads what they measured: a CPU is not waited for, a GPU is."""
    return 1 if device.type == "cpu" else min(settings.log_every, _MOST_UNSEEN)


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

    def error(self, arm: Arm, checkpoint: Checkpoint | None, part: int) -> TrainingError:
        """Returns the error to raise, after it wrote the batch beside the checkpoints.

        Args:
            arm: that is trained.
            checkpoint: where the state is kept; None keeps none.
            part: rank of this process.
        """
        texts = [arm.source.texts[row] for row in self.batch.text_rows.tolist()]
        told = f"The batch's captions are {texts[:_NUM_SHOWN]}."
        if checkpoint is not None:
            names = [arm.source.images.name_of(row) for row in self.batch.image_rows.tolist()]
            listed = checkpoint.write_batch(self.step, part, names, texts)
            newest = checkpoint.newest()
            state = f"The newest state before it is kept in {newest}" if newest else "No state is kept yet"
            told = f"{state}, the batch's images in {listed}."
        return TrainingError(
            f"arm {arm.name!r}: got a loss of {self.loss} and a gradient of norm {self.grad_norm} at step "
            f"{self.step}; must be finite. {told} Lower training.learning_rate, or set "
            "training.max_grad_norm: the arm then starts from the beginning."
        )


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


class StateBefore:
    """What a step changes before its loss is known: statistics of BatchNorm, and random states."""

    def __init__(self, networks: nn.Module) -> None:
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in networks.buffers()]
        self._random_states = random_states()

    def restore(self) -> None:
        """Sets them back."""
        for buffer, value in self._buffers:
            buffer.copy_(value)
        restore_random_states(self._random_states)
