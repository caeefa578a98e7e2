"""Nearest neighbours with exponentially weighted votes, as papers report them.

A neighbour of cosine similarity s counts exp(s / tau), with tau = 0.07 (arXiv:1805.01978, section 3.4). The
number of neighbours is chosen for each task on the validation images, from the 10, 20, 100 and 200 that
DINO's evaluation tries (arXiv:2104.14294); among equals the smallest.
Legend: N training images, F features, K neighbours.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from stablerep.errors import ConfigError
from stablerep.evaluation.evaluation import Choice, Evaluation
from stablerep.evaluation.knn import Bank, Neighbours, find_neighbours
from stablerep.evaluation.subject import Prompts, Split, Unlabelled
from stablerep.settings import Settings, Values

_KEY = "evaluation.weighted_knn.num_neighbours"


class WeightedNearestNeighboursSettings(Settings):
    """Settings of the weighted vote."""

    section: ClassVar[str] = "evaluation.weighted_knn"

    num_neighbours: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Values] = Field(
        default=(10, 20, 100, 200), min_length=1, description="values of K; one is chosen per task"
    )
    temperature: float = Field(default=0.07, gt=0, description="tau of the weights")


_DEFAULT = WeightedNearestNeighboursSettings()


class WeightedNearestNeighbours(Evaluation):
    """Accuracy of an exponentially weighted vote of the nearest train images.

    Args:
        num_neighbours: see `WeightedNearestNeighboursSettings`.
        temperature: likewise.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "weighted_knn"
    version = 1

    def __init__(
        self,
        num_neighbours: Sequence[int] = _DEFAULT.num_neighbours,
        temperature: float = _DEFAULT.temperature,
    ) -> None:
        self.settings = WeightedNearestNeighboursSettings(
            num_neighbours=tuple(num_neighbours), temperature=temperature
        )

    def check_train_labels(self, labels: np.ndarray, whose: str) -> None:
        """Raises ConfigError where a task has fewer labelled train images than neighbours."""
        most = max(self.settings.num_neighbours)
        if most > len(labels):
            raise ConfigError(
                f"{_KEY}: got {most}; must be <= {len(labels)}, the number of labelled train images of "
                f"{whose}. Set it in conf/params/evaluation/weighted_knn.yaml, or use more train images."
            )

    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Keeps the train images and chooses the number of neighbours on the validation images.

        Raises:
            ConfigError: a task has fewer labelled train images than neighbours.
        """
        counts = sorted(self.settings.num_neighbours)
        num_classes = {task: len(classes) for task, classes in train.tasks.items()}
        choices: dict[str, Choice] = {}
        for features, of_bank in train.labelled_together():
            bank = Bank(features, of_bank, num_classes)
            near = find_neighbours(features, validation.features, counts[-1], key=_KEY)
            for task, labels in of_bank.items():
                for count in counts:
                    predicted = self._vote(near.nearest(count), labels, num_classes[task])
                    accuracy = validation.accuracy(task, predicted)
                    if task not in choices or accuracy > choices[task].validation:
                        choices[task] = Choice(accuracy, {"num_neighbours": count}, bank)
        return {task: choices[task] for task in train.tasks}

    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        """Votes on test images; tasks that know the same train images share the search."""
        counts = {task: int(choice.chosen["num_neighbours"]) for task, choice in choices.items()}
        banks = {id(choice.state): choice.state for choice in choices.values()}
        near = {
            name: find_neighbours(bank.features, images.features, max(counts.values()), key=_KEY)
            for name, bank in banks.items()
        }
        return {
            task: self._vote(
                near[id(choice.state)].nearest(counts[task]),
                choice.state.labels[task],
                choice.state.num_classes[task],
            )
            for task, choice in choices.items()
        }

    def _vote(self, near: Neighbours, labels: np.ndarray, num_classes: int) -> np.ndarray:
        return near.vote(labels, num_classes, self.settings.temperature)
