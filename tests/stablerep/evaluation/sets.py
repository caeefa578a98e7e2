"""Small evaluation sets and subjects for the tests of this package."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stablerep.evaluation.labelled_set import SPLITS, LabelledSet, label_column
from stablerep.evaluation.subject import Subject, TextTower

NUM = {"train": 240, "validation": 60, "test": 90}
CLASSES = ("a", "b", "c", "d")


class RandomPixels:
    """Images whose first pixel is their row."""

    def __init__(self, num_images: int, height: int = 8, width: int = 8) -> None:
        rng = np.random.default_rng(0)
        pixels = rng.integers(256, size=(num_images, 3, height, width), dtype=np.uint8)
        self.images = torch.from_numpy(pixels)
        self.num_read = 0

    def read(self, row: int) -> Tensor:
        self.num_read += 1
        return self.images[row]

    def __len__(self) -> int:
        return len(self.images)

    def name_of(self, row: int) -> str:
        return f"image {row}"

    def fingerprint(self) -> bytes:
        return b"random"

    def subset(self, rows: Tensor) -> "RandomPixels":
        raise NotImplementedError("features read images by the rows of the whole set")


def labelled_set(labels: Mapping[str, np.ndarray] | None = None, seed: int = 0) -> LabelledSet:
    """Returns a set of four classes, its splits mixed; labels by task replace its own."""
    rng = np.random.default_rng(seed)
    num = sum(NUM.values())
    splits = rng.permutation(np.repeat(SPLITS, [NUM[split] for split in SPLITS]))
    if labels is None:
        labels = {"shape": rng.integers(4, size=num)}
    table = pd.DataFrame(
        {
            "key": [f"image-{i}" for i in range(num)],
            "split": splits,
            "unit": [f"{i // 3:03d}" for i in range(num)],
            "digest": [f"{i:x}" for i in range(num)],
        }
    )
    for task, of_task in labels.items():
        table[label_column(task)] = np.asarray(of_task, dtype=np.int64)
    return LabelledSet("shapes", dict.fromkeys(labels, CLASSES), {}, table)


def subject(
    of_set: LabelledSet, features: np.ndarray, name: str = "arm", text: TextTower | None = None
) -> Subject:
    """Returns a subject whose features are given for all images in the order of the table."""
    return Subject(name, of_set, lambda split: features[of_set.rows(split)].astype(np.float32), text)


def perfect(of_set: LabelledSet, task: str = "shape") -> np.ndarray:
    """Returns features that name the class."""
    return np.eye(4)[of_set.table[label_column(task)]]


def random(of_set: LabelledSet, num_features: int = 8) -> np.ndarray:
    """Returns features that have nothing to do with the class."""
    return np.random.default_rng(1).normal(size=(len(of_set.table), num_features))
