"""Nearest-neighbour accuracy of features: what the geometry alone knows, nothing trained.

Cosine similarity and a vote weighted by it: a neighbour of similarity s counts 1 + s. The vote of
arXiv:1805.01978, whose weights fall off faster, is `weighted_knn`.
Legend: N training images, Q queries, F features, K neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional as F

from stablerep.errors import ConfigError, check_range
from stablerep.evaluation.evaluation import Choice, Evaluation
from stablerep.evaluation.subject import Prompts, Split, Unlabelled
from stablerep.settings import Settings

_WHERE = "conf/params/evaluation/<name>.yaml, or use more train images"


@dataclass(frozen=True)
class Neighbours:
    """The nearest training images of queries, the nearest first.

    Attributes:
        rows: (Q, K) int64 into the training images.
        similarities: (Q, K) float32 cosine similarities, in [-1, 1].
    """

    rows: np.ndarray
    similarities: np.ndarray

    def nearest(self, num_neighbours: int) -> "Neighbours":
        """Returns the first K of them."""
        return Neighbours(self.rows[:, :num_neighbours], self.similarities[:, :num_neighbours])

    def vote(
        self, train_labels: np.ndarray, num_classes: int, temperature: float | None = None
    ) -> np.ndarray:
        """Returns (Q,) int64: the class with the most similar neighbours.

        Args:
            train_labels: (N,) int in 0..num_classes-1.
            num_classes: of the task.
            temperature: tau, by which a neighbour of similarity s counts exp(s / tau); None for 1 + s.
        """
        votes = np.zeros((len(self.rows), num_classes), dtype=np.float64)
        if temperature is None:
            # a similarity lies in [-1, 1]: shifted, a neighbour never counts against its own class
            weights = self.similarities + 1.0
        else:
            # less 1: with small temperatures the exponential would overflow; the shares stay the same
            weights = np.exp((self.similarities.astype(np.float64) - 1) / temperature)
        classes = train_labels[self.rows]
        queries = np.broadcast_to(np.arange(len(self.rows))[:, None], classes.shape)
        np.add.at(votes, (queries, classes), weights)
        return votes.argmax(axis=1)


def find_neighbours(
    train_features: np.ndarray,
    query_features: np.ndarray,
    num_neighbours: int,
    batch_size: int = 1024,
    key: str = "evaluation.knn.num_neighbours",
) -> Neighbours:
    """Finds the training images nearest to each query by cosine similarity.

    Args:
        train_features: (N, F) float16 or float32.
        query_features: (Q, F) likewise.
        num_neighbours: K, at most N.
        batch_size: queries at a time.
        key: of the setting K, for the message.

    Raises:
        ConfigError: there are fewer training images than neighbours.
    """
    check_range(key, num_neighbours, 1, len(train_features), where=_WHERE)
    bank, queries = (_directions(features) for features in (train_features, query_features))
    best = [(part @ bank.T).topk(num_neighbours, dim=1) for part in queries.split(batch_size)]
    return Neighbours(
        torch.cat([found.indices for found in best]).numpy(),
        # the product of two vectors of unit length can exceed 1 by rounding, to 1.0000005 in float32
        torch.cat([found.values for found in best]).clamp(-1, 1).numpy(),
    )


def _directions(features: np.ndarray) -> torch.Tensor:
    # a copy: memory-mapped features are read-only, which torch warns of
    return F.normalize(torch.from_numpy(np.array(features, dtype=np.float32)), dim=1)


class NearestNeighboursSettings(Settings):
    """Settings of the nearest-neighbour vote."""

    section: ClassVar[str] = "evaluation.knn"

    num_neighbours: int = Field(
        default=20, ge=1, description="K, neighbours that vote; arXiv:1805.01978 uses 200"
    )


_DEFAULT = NearestNeighboursSettings()


@dataclass(frozen=True, eq=False)
class Bank:
    """Train images with known labels for the same tasks.

    Attributes:
        features: (N, F).
        labels: by task (N,) int64.
        num_classes: by task.
    """

    features: np.ndarray
    labels: Mapping[str, np.ndarray]
    num_classes: Mapping[str, int]

    def predict(self, queries: np.ndarray, num_neighbours: int) -> dict[str, np.ndarray]:
        """Returns by task (Q,) classes of (Q, F) queries, by the vote of `knn`."""
        near = find_neighbours(self.features, queries, num_neighbours)
        return {task: near.vote(labels, self.num_classes[task]) for task, labels in self.labels.items()}


class NearestNeighbours(Evaluation):
    """Accuracy of a vote of the nearest train images; nothing is chosen.

    Args:
        num_neighbours: see `NearestNeighboursSettings`.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "knn"
    version = 1

    def __init__(self, num_neighbours: int = _DEFAULT.num_neighbours) -> None:
        self.settings = NearestNeighboursSettings(num_neighbours=num_neighbours)

    def check_train_labels(self, labels: np.ndarray, whose: str) -> None:
        """Raises ConfigError where a task has fewer labelled train images than neighbours."""
        if self.settings.num_neighbours > len(labels):
            raise ConfigError(
                f"evaluation.knn.num_neighbours: got {self.settings.num_neighbours}; must be <= "
                f"{len(labels)}, the number of labelled train images of {whose}. Set it in {_WHERE}."
            )

    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Keeps the train images and votes on the validation images.

        Raises:
            ConfigError: a task has fewer labelled train images than neighbours.
        """
        num_classes = {task: len(classes) for task, classes in train.tasks.items()}
        choices = {}
        for features, labels in train.labelled_together():
            bank = Bank(features, labels, num_classes)
            for task, predicted in bank.predict(validation.features, self.settings.num_neighbours).items():
                choices[task] = Choice(validation.accuracy(task, predicted), {}, bank)
        return {task: choices[task] for task in train.tasks}

    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        """Votes on test images; tasks that know the same train images share the search."""
        banks = {id(choice.state): choice.state for choice in choices.values()}
        predictions: dict[str, np.ndarray] = {}
        for bank in banks.values():
            predictions |= bank.predict(images.features, self.settings.num_neighbours)
        return {task: predictions[task] for task in choices}
