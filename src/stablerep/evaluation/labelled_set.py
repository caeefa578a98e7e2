"""An evaluation set: labelled real images in three splits, and nothing of what they show."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from stablerep.errors import DataError

SPLITS = ("train", "validation", "test")
UNKNOWN = -1  # the label of an image that a task leaves out
_COLUMNS = ("key", "split", "unit", "digest")
_CAPTIONS = "captions"


def label_column(task: str) -> str:
    """Returns the column that holds a task's labels."""
    return f"label.{task}"


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """Labelled images.

    Attributes:
        name: of the set.
        tasks: the class names of each task, in the order of their labels; the headline task first.
        prompts: by task, texts with `{}` for a class name, for zero-shot; a task may have none.
        table: one row per image, with `key` (unique), `split` (train, validation or test), `unit` (images of
            one unit are right and wrong together), `digest` (of the image), and for each task
            `label.<task>`, int64 from 0, or -1 where it is unknown. It may have `captions`, a list of texts
            of each image.

    Raises:
        DataError: a column is missing, a key is there twice, a split or label is unknown, or a task has
            no labelled image in a split.
    """

    name: str
    tasks: Mapping[str, tuple[str, ...]]
    prompts: Mapping[str, tuple[str, ...]]
    table: pd.DataFrame

    def __post_init__(self) -> None:
        """Checks the table."""
        where = f"evaluation set {self.name!r}"
        if not self.tasks:
            raise DataError(f"{where} has no task; it must have at least one.")
        missing = {*_COLUMNS, *map(label_column, self.tasks)} - set(self.table.columns)
        if missing:
            raise DataError(f"{where}: its table lacks the columns {', '.join(sorted(missing))}.")
        if not self.table["key"].is_unique:
            twice = self.table["key"][self.table["key"].duplicated()].iloc[0]
            raise DataError(f"{where} has the key {twice!r} twice; each key must be unique.")
        unknown = set(self.table["split"]) - set(SPLITS)
        if unknown:
            raise DataError(f"{where} has the split {min(unknown)!r}; it must be one of {', '.join(SPLITS)}.")
        for task, classes in self.tasks.items():
            self._check_task(f"{where}, task {task!r}", task, len(classes))

    def _check_task(self, where: str, task: str, num_classes: int) -> None:
        labels = self.table[label_column(task)].to_numpy()
        if labels.dtype != np.int64:
            raise DataError(f"{where}: labels are {labels.dtype}; they must be int64.")
        bad = labels[(labels < UNKNOWN) | (labels >= num_classes)]
        if len(bad):
            raise DataError(
                f"{where} has the label {bad[0]}; it must be >= 0 and < {num_classes}, the number of class "
                f"names, or {UNKNOWN} for unknown."
            )
        labelled = self.table["split"][labels != UNKNOWN].value_counts()
        for split in SPLITS:
            if not labelled.get(split):
                raise DataError(
                    f"{where} has no {split} image with a label; it must have at least one. Change the share "
                    f"of the splits, or remove the task."
                )

    @cached_property
    def digest(self) -> str:
        """What the set is: its images, labels, splits and units, in their order."""
        digest = hashlib.blake2b(digest_size=16)
        for column in ("key", "split", "unit", "digest"):
            values = json.dumps([column, *self.table[column].astype(str)])
            digest.update(values.encode())
        for task in sorted(self.tasks):
            digest.update(json.dumps(label_column(task)).encode())
            digest.update(self.table[label_column(task)].to_numpy().astype("<i8").tobytes())
        return digest.hexdigest()

    def captions(self, split: str) -> list[tuple[str, ...]]:
        """Returns the captions of each image of a split, without empty ones; none if the set has none."""
        if _CAPTIONS not in self.table:
            return [() for _ in self.rows(split)]
        column = self.table[_CAPTIONS].to_numpy()[self.rows(split)]
        return [tuple(text.strip() for text in texts if text.strip()) for texts in column]

    @cached_property
    def has_captions(self) -> bool:
        """Whether both the validation and the test split have images with captions."""
        return all(any(self.captions(split)) for split in ("validation", "test"))

    def rows(self, split: str) -> np.ndarray:
        """Returns the (N,) rows of a split, in the order of the table."""
        return np.flatnonzero(self.table["split"].to_numpy() == split)
