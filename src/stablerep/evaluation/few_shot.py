"""Few-shot classification: a few labelled images of each class, the nearest class mean.

In an episode each class has n of its train images, the shots. Shots and queries, less the mean of the shots,
are scaled to length 1; a query gets the class whose mean shot is nearest. This is SimpleShot's
classifier CL2N (arXiv:1911.04623, section 3), centred by the episode's own shots instead of another data set,
so that an episode uses nothing else. Nothing is fitted or chosen: validation images are never shots.

Accuracies are means over episodes; their intervals cover both other episodes and other test images.
Legend: N images, F features, E episodes, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from stablerep.errors import ConfigError
from stablerep.evaluation.evaluation import (
    ACCURACY,
    Choice,
    Evaluation,
    Measured,
    check_several_classes,
)
from stablerep.evaluation.labelled_set import UNKNOWN
from stablerep.evaluation.subject import Prompts, Split, Unlabelled
from stablerep.seeding import numpy_generator
from stablerep.settings import Settings, Values

_WHERE = "conf/params/evaluation/few_shot.yaml, or use more train images"


class FewShotSettings(Settings):
    """Settings of the few-shot evaluation."""

    section: ClassVar[str] = "evaluation.few_shot"

    num_shots: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Values] = Field(
        default=(1, 5, 10), min_length=1, description="train images of each class; each number is a metric"
    )
    num_episodes: int = Field(default=20, ge=1, description="E, draws of the shots that are averaged")
    seed: int = Field(default=0, ge=0, description="of the draws")


_DEFAULT = FewShotSettings()


@dataclass(frozen=True, eq=False)
class ClassMeans:
    """The classifier of one episode.

    Attributes:
        centre: (F,) float32, the mean of the shots.
        means: (K, F) float32, of the shots of each class after centring and scaling to length 1.
        classes: (K,) int64.
    """

    centre: np.ndarray
    means: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, shots: np.ndarray, labels: np.ndarray) -> "ClassMeans":
        """Makes the classifier of (N, F) shots with (N,) labels."""
        shots = np.asarray(shots, np.float32)
        centre = shots.mean(axis=0)
        directions = _to_length_1(shots - centre)
        classes = np.unique(labels)
        means = np.stack([directions[labels == each].mean(axis=0) for each in classes])
        return cls(centre, means, classes)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Maps (N, F) features to (N,) int64 classes."""
        queries = _to_length_1(np.asarray(features, np.float32) - self.centre)
        # |q - m|^2 = |q|^2 - 2 q.m + |m|^2, and |q| is the same for all classes
        distances = (self.means**2).sum(axis=1) - 2 * queries @ self.means.T
        return self.classes[distances.argmin(axis=1)]


def _to_length_1(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)  # a vector of length 0 stays 0


class FewShot(Evaluation):
    """Accuracy of the nearest class mean of a few train images.

    Args:
        num_shots: see `FewShotSettings`.
        num_episodes: likewise.
        seed: likewise.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "few_shot"
    version = 1

    def __init__(
        self,
        num_shots: Sequence[int] = _DEFAULT.num_shots,
        num_episodes: int = _DEFAULT.num_episodes,
        seed: int = _DEFAULT.seed,
    ) -> None:
        self.settings = FewShotSettings(num_shots=tuple(num_shots), num_episodes=num_episodes, seed=seed)

    def check_train_labels(self, labels: np.ndarray, whose: str) -> None:
        """Raises ConfigError where a class has fewer train images than shots."""
        classes, counts = np.unique(labels[labels != UNKNOWN], return_counts=True)
        most = max(self.settings.num_shots)
        if len(counts) and counts.min() < most:
            fewest = counts.argmin()
            raise ConfigError(
                f"evaluation.few_shot.num_shots: got {most}; must be <= {counts[fewest]}, the number of "
                f"train images of class {classes[fewest]} of {whose}. Set it in {_WHERE}."
            )

    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Draws the shots of each episode from the train images; nothing is chosen.

        Raises:
            ConfigError: a class of a task has fewer train images than shots.
            DataError: the train images of a task are all of one class.
        """
        check_several_classes(self.name, train)
        choices = {}
        for task, labels in train.labels.items():
            self.check_train_labels(labels, f"task {task!r}")
            episodes = [self._episode(train, task, episode) for episode in range(self.settings.num_episodes)]
            first = [of_episode[0].predict(validation.features) for of_episode in episodes]
            accuracy = float(np.mean([validation.accuracy(task, predicted) for predicted in first]))
            choices[task] = Choice(accuracy, {}, episodes)
        return choices

    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        """Returns by task (N, numbers of shots, E) classes."""
        features = np.asarray(images.features, np.float32)
        predictions = {}
        for task, choice in choices.items():
            by_episode = [[each.predict(features) for each in of_episode] for of_episode in choice.state]
            predictions[task] = np.array(by_episode).transpose(2, 1, 0)
        return predictions

    def measure(self, choice: Choice, predicted: np.ndarray, right: np.ndarray) -> dict[str, Measured]:
        """Returns the accuracy of each number of shots, its episodes as repeats."""
        correct = predicted == right[:, None, None]
        return {
            f"{ACCURACY}_{num}_shot": Measured(correct[:, place])
            for place, num in enumerate(self.settings.num_shots)
        }

    def _episode(self, train: Split, task: str, episode: int) -> list[ClassMeans]:
        """Returns a classifier for each number of shots; smaller numbers take the first of the shots."""
        labels = train.labels[task]
        rng = numpy_generator(self.name, self.settings.seed, episode)
        rows = [
            rng.choice(np.flatnonzero(labels == each), max(self.settings.num_shots), replace=False)
            for each in np.unique(labels[labels != UNKNOWN])
        ]
        found = []
        for num in self.settings.num_shots:
            shots = np.concatenate([of_class[:num] for of_class in rows])
            found.append(ClassMeans.of(train.features[shots], labels[shots]))
        return found
