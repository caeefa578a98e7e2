"""Nearest-neighbour accuracy of features: what the geometry alone knows, nothing trained.

Cosine similarity and a vote weighted by it, as is usual for frozen features (arXiv:1805.01978; its
temperature is left out: one setting fewer to choose).
Legend: N training images, Q queries, F features, K neighbours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from stablerep.errors import check_range

_WHERE = "conf/params/evaluation/<name>.yaml, or more scenes.num_probe_train_scenes"


@dataclass(frozen=True)
class Neighbours:
    """The nearest training images of queries, the nearest first.

    Attributes:
        rows: (Q, K) int64 into the training images.
        similarities: (Q, K) float32 cosine similarities, in [-1, 1].
    """

    rows: np.ndarray
    similarities: np.ndarray

    def vote(self, train_labels: np.ndarray, num_classes: int) -> np.ndarray:
        """Returns (Q,) int64: the class with the most similar neighbours.

        Args:
            train_labels: (N,) int in 0..num_classes-1.
            num_classes: of the attribute.
        """
        votes = np.zeros((len(self.rows), num_classes), dtype=np.float64)
        # a similarity lies in [-1, 1]: shifted, a neighbour never counts against its own class
        weights = self.similarities + 1.0
        classes = train_labels[self.rows]
        queries = np.broadcast_to(np.arange(len(self.rows))[:, None], classes.shape)
        np.add.at(votes, (queries, classes), weights)
        return votes.argmax(axis=1)


def find_neighbours(
    train_features: np.ndarray,
    query_features: np.ndarray,
    num_neighbours: int,
    batch_size: int = 1024,
) -> Neighbours:
    """Finds the training images nearest to each query by cosine similarity.

    Args:
        train_features: (N, F) float32.
        query_features: (Q, F) float32.
        num_neighbours: K, at most N.
        batch_size: queries at a time.

    Raises:
        ConfigError: there are fewer training images than neighbours.
    """
    check_range("probe.num_neighbours", num_neighbours, 1, len(train_features), where=_WHERE)
    bank = F.normalize(torch.from_numpy(train_features), dim=1)
    queries = F.normalize(torch.from_numpy(query_features), dim=1)
    best = [(part @ bank.T).topk(num_neighbours, dim=1) for part in queries.split(batch_size)]
    return Neighbours(
        torch.cat([found.indices for found in best]).numpy(),
        # the product of two vectors of unit length can exceed 1 by rounding, to 1.0000005 in float32
        torch.cat([found.values for found in best]).clamp(-1, 1).numpy(),
    )
