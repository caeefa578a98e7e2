"""The paper's linear probe: SGD at ten learning rates at once, without and with BatchNorm (arXiv:2306.00984).

Rates, momentum, epochs, batch and BatchNorm are those of the authors' main_linear.py. Three things differ.
The authors choose the learning rate on the test set; here the validation images choose it. They train on
random crops and flips; here on the features of whole images, which are computed once. Their weights start at
small random numbers, ours at 0.

Features are read from disk one batch at a time, in an order that suits disks, so memory does not grow with
the number of images.
Legend: N images, B images of a batch, F features.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from stablerep.evaluation.block_shuffle import shuffle_in_blocks
from stablerep.evaluation.evaluation import (
    ACCURACY,
    Choice,
    Evaluation,
    Measured,
    check_several_classes,
)
from stablerep.evaluation.subject import Prompts, Split, Unlabelled
from stablerep.seeding import numpy_generator
from stablerep.settings import Settings, Values

if TYPE_CHECKING:
    from torch import Tensor

    from stablerep.evaluation.sgd_heads import BatchNormInputs, LinearHeads

WITHOUT, WITH = "without", "with"  # BatchNorm
_RATES_ARE_OF = 256  # images: the rate of a batch of B is B / 256 of the base rate


class SgdProbeSettings(Settings):
    """Settings of the paper's linear probe; the defaults are the authors'."""

    section: ClassVar[str] = "evaluation.sgd_probe"

    base_learning_rates: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Values] = Field(
        default=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5),
        min_length=1,
        description="peak rates for 256 images a batch; one is chosen per task, without and with BatchNorm",
    )
    num_epochs: int = Field(default=90, ge=1, description="passes over the train images")
    batch_size: int = Field(default=1024, ge=2, description="B; at most all train images")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD")
    seed: int = Field(default=0, ge=0, description="of the order of the images")


_DEFAULT = SgdProbeSettings()


@dataclass(frozen=True, eq=False)
class _Kept:
    """The chosen classifiers of a task, and which of the two is better on the validation images."""

    inputs: "BatchNormInputs"
    heads: "LinearHeads"
    best: int


class SgdProbe(Evaluation):
    """Accuracy of a linear classifier that is trained as in the paper.

    It gives the accuracy of the better classifier, and those of the classifiers without and with BatchNorm.

    Args:
        base_learning_rates: see `SgdProbeSettings`.
        num_epochs: likewise.
        batch_size: likewise.
        momentum: likewise.
        seed: likewise.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "sgd_probe"
    version = 1

    def __init__(
        self,
        base_learning_rates: Sequence[float] = _DEFAULT.base_learning_rates,
        num_epochs: int = _DEFAULT.num_epochs,
        batch_size: int = _DEFAULT.batch_size,
        momentum: float = _DEFAULT.momentum,
        seed: int = _DEFAULT.seed,
    ) -> None:
        self.settings = SgdProbeSettings(
            base_learning_rates=tuple(base_learning_rates),
            num_epochs=num_epochs,
            batch_size=batch_size,
            momentum=momentum,
            seed=seed,
        )
        self._base_rates = sorted(self.settings.base_learning_rates)

    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Trains all classifiers and keeps, per task, the best without and with BatchNorm.

        Among equals it keeps the lowest rate, and the classifier without BatchNorm.

        Raises:
            DataError: the train images of a task are all of one class.
        """
        check_several_classes(self.name, train)
        choices: dict[str, Choice] = {}
        for rows, tasks in train.rows_known_together():
            inputs, heads = self._train(train, rows, tasks)
            predicted = _predict(inputs, heads, validation.features, self.settings.batch_size)
            for task in tasks:
                accuracies = np.array(
                    [
                        [validation.accuracy(task, of_head) for of_head in variant]
                        for variant in predicted[task]
                    ]
                )
                choices[task] = self._choice(inputs, heads[task], accuracies)
        return {task: choices[task] for task in train.tasks}

    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        """Returns by task (N, 2) classes: of the classifier without BatchNorm, and of that with it."""
        predictions = {}
        for task, choice in choices.items():
            kept: _Kept = choice.state
            found = _predict(kept.inputs, {task: kept.heads}, images.features, self.settings.batch_size)
            predictions[task] = found[task][:, 0].T
        return predictions

    def measure(self, choice: Choice, predicted: np.ndarray, right: np.ndarray) -> dict[str, Measured]:
        """Returns the accuracy of the better one on validation images, then of both."""
        correct = predicted == right[:, None]
        return {
            ACCURACY: Measured(correct[:, choice.state.best]),
            f"{ACCURACY}_without_batch_norm": Measured(correct[:, 0]),
            f"{ACCURACY}_with_batch_norm": Measured(correct[:, 1]),
        }

    def _train(
        self, train: Split, rows: np.ndarray, tasks: Sequence[str]
    ) -> "tuple[BatchNormInputs, dict[str, LinearHeads]]":
        """Trains the classifiers of tasks that know the labels of the same rows."""
        import torch

        from stablerep.evaluation.sgd_heads import BatchNormInputs, SgdHeads

        given, device = self.settings, torch.device("cuda" if torch.cuda.is_available() else "cpu")
        batch_size, num_features = min(given.batch_size, len(rows)), train.features.shape[1]
        rates = [rate * batch_size / _RATES_ARE_OF for rate in self._base_rates]
        inputs = BatchNormInputs(num_features, device)
        heads = {
            task: SgdHeads(num_features, len(train.tasks[task]), rates, given.momentum, device)
            for task in tasks
        }
        num_steps = given.num_epochs * (len(rows) // batch_size)
        for step, batch in enumerate(self._batches(rows, batch_size)):
            inputs_VBF = inputs(_read(train.features, batch), training=True)
            schedule = (1 + math.cos(math.pi * step / num_steps)) / 2
            for task in tasks:
                targets = torch.from_numpy(train.labels[task][batch]).to(device)
                heads[task].step(inputs_VBF, targets, schedule)
        return inputs, {task: of_task.heads for task, of_task in heads.items()}

    def _batches(self, rows: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
        """Yields the rows of each batch; an incomplete last batch is left out of the epoch."""
        for epoch in range(self.settings.num_epochs):
            rng = numpy_generator(self.name, self.settings.seed, epoch)
            order = rows[shuffle_in_blocks(len(rows), rng)]
            for start in range(0, len(rows) - batch_size + 1, batch_size):
                yield order[start : start + batch_size]

    def _choice(self, inputs: "BatchNormInputs", heads: "LinearHeads", accuracies: np.ndarray) -> Choice:
        """Chooses of (2, H) accuracies on validation images."""
        places = accuracies.argmax(axis=1)
        best = int(accuracies.max(axis=1).argmax())
        rates = [self._base_rates[place] for place in places]
        chosen = {
            "batch_norm": (WITHOUT, WITH)[best],
            "base_learning_rate_without_batch_norm": rates[0],
            "base_learning_rate_with_batch_norm": rates[1],
        }
        return Choice(float(accuracies.max()), chosen, _Kept(inputs, heads.keep(places.tolist()), best))


def _predict(
    inputs: "BatchNormInputs", heads: "Mapping[str, LinearHeads]", features: np.ndarray, batch_size: int
) -> dict[str, np.ndarray]:
    """Returns by task (2, H, N) int64 classes; features are read a batch at a time."""
    import torch

    parts: dict[str, list[Tensor]] = {task: [] for task in heads}
    for start in range(0, len(features), batch_size):
        inputs_VBF = inputs(_read(features, slice(start, start + batch_size)), training=False)
        for task, of_task in heads.items():
            parts[task].append(of_task.predict(inputs_VBF).cpu())
    return {task: torch.cat(found, dim=1).transpose(1, 2).numpy() for task, found in parts.items()}


def _read(features: np.ndarray, rows: "np.ndarray | slice") -> "Tensor":
    import torch

    # a copy: memory-mapped features are read-only, which torch warns of
    return torch.from_numpy(np.array(features[rows], dtype=np.float32))
