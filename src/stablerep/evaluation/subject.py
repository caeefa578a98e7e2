"""An encoder on an evaluation set: features, labels, and a test split that opens after every choice.

Legend: N images, F features, D dimensions of an embedding shared by images and text.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from stablerep.evaluation.labelled_set import UNKNOWN, LabelledSet, label_column

if TYPE_CHECKING:
    from torch import Tensor

    from stablerep.models.encoder import Encoder

logger = logging.getLogger(__name__)


class TextTower(Protocol):
    """The text side of an encoder that was trained with text."""

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Maps T texts to (T, D) float32 embeddings of length 1."""
        ...

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        """Maps (N, F) image features to (N, D) float32 embeddings of length 1."""
        ...


@dataclass(frozen=True)
class Prompts:
    """What an evaluation that needs text is given besides images.

    Attributes:
        tower: embeds texts and features.
        templates: by task, texts with `{}` for a class name.
    """

    tower: TextTower
    templates: Mapping[str, tuple[str, ...]]


class Change(Protocol):
    """What is done to an image before an encoder sees it: a function of the image and its name alone."""

    @property
    def key(self) -> str:
        """Describes the change with all its numbers: changes with the same key give the same image."""
        ...

    def __call__(self, image: "Tensor", name: str) -> "Tensor":
        """Maps an image, (3, H, W) uint8, to another."""
        ...


class Images(Protocol):
    """The N images of one split, and the encoder that sees them."""

    def __len__(self) -> int:
        """Returns N."""
        ...

    def read(self, places: np.ndarray) -> "list[Tensor]":
        """Returns the images at some places of the split, (3, H, W) uint8 each."""
        ...

    def features_of(self, change: Change) -> np.ndarray:
        """Returns (N, F) features of changed images; they are cached like those of the images themselves."""
        ...

    def copy_of_encoder(self) -> "Encoder":
        """Returns the encoder on the CPU, to train further."""
        ...


@dataclass(frozen=True)
class Unlabelled:
    """Images of a split as one encoder sees them, without their labels.

    Attributes:
        features: (N, F) float16 or float32, usually memory-mapped.
        tasks: the class names of each task.
        images: for what needs more than features; None where only these are known.
    """

    features: np.ndarray
    tasks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    images: Images | None = None

    @property
    def pictures(self) -> Images:
        """The images themselves; raises ValueError where only features are known."""
        return _pictures(self.images)


@dataclass(frozen=True)
class Split:
    """One split as one encoder sees it.

    Attributes:
        features: (N, F) float16 or float32, usually memory-mapped.
        labels: by task (N,) int64, -1 where unknown.
        tasks: the class names of each task.
        images: for what needs more than features; None where only these are known.
        captions: of each of the N images, empty where it has none.
    """

    features: np.ndarray
    labels: Mapping[str, np.ndarray]
    tasks: Mapping[str, tuple[str, ...]]
    captions: Sequence[tuple[str, ...]] = ()
    images: Images | None = None

    @property
    def pictures(self) -> Images:
        """The images themselves; raises ValueError where only features are known."""
        return _pictures(self.images)

    def unlabelled(self) -> Unlabelled:
        """Returns the images without their labels."""
        return Unlabelled(self.features, self.tasks, self.images)

    def known(self, task: str) -> np.ndarray:
        """Returns (N,) bool: whether a task knows the label of an image."""
        return self.labels[task] != UNKNOWN

    def rows_known_together(self) -> list[tuple[np.ndarray, list[str]]]:
        """Groups tasks that know the labels of the same images.

        Returns:
            For each group the rows of the images whose labels are known, and the tasks.
        """
        groups: dict[bytes, list[str]] = {}
        for task in self.labels:
            groups.setdefault(self.known(task).tobytes(), []).append(task)
        return [(np.flatnonzero(self.known(tasks[0])), tasks) for tasks in groups.values()]

    def labelled_together(self) -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Returns for each group of `rows_known_together` the features and the labels by task."""
        found = []
        for rows, tasks in self.rows_known_together():
            features = self.features if len(rows) == len(self.features) else self.features[rows]
            found.append((features, {task: self.labels[task][rows] for task in tasks}))
        return found

    def accuracy(self, task: str, predicted: np.ndarray) -> float:
        """Returns the share of (N,) predicted classes that are right, of those whose label is known."""
        known = self.known(task)
        return float(np.mean(predicted[known] == self.labels[task][known]))


@dataclass(frozen=True)
class TestSplit(Split):
    """The test split, with what its scores are resampled over.

    Attributes:
        units: (N,) text.
    """

    __test__ = False  # not a class of tests

    units: np.ndarray = field(kw_only=True)


def _pictures(images: Images | None) -> Images:
    if images is None:
        raise ValueError("this evaluation needs the images; its subject has only their features")
    return images


class Subject:
    """A frozen encoder, or a reference such as raw pixels, on one evaluation set.

    Args:
        name: the arm's or the reference's.
        labelled_set: the images.
        read_features: maps the name of a split to its (N, F) features, in the order of the table.
        text: the encoder's text tower, if it has one.
        open_images: maps the name of a split to its images, for evaluations that need more than features.
    """

    def __init__(
        self,
        name: str,
        labelled_set: LabelledSet,
        read_features: Callable[[str], np.ndarray],
        text: TextTower | None = None,
        open_images: Callable[[str], Images] | None = None,
    ) -> None:
        self.name = name
        self.labelled_set = labelled_set
        self.prompts = None if text is None else Prompts(text, labelled_set.prompts)
        self.opened_after: tuple[str, ...] = ()
        self._read_features, self._open_images = read_features, open_images

    def open_train(self) -> Split:
        """Returns the split to learn from."""
        return self._open("train")

    def open_validation(self) -> Split:
        """Returns the split to choose on."""
        return self._open("validation")

    def validation_units(self) -> np.ndarray:
        """Returns the (N,) units of the validation images, as text."""
        return self._units("validation")

    def _units(self, split: str) -> np.ndarray:
        return self.labelled_set.table["unit"].to_numpy()[self.labelled_set.rows(split)].astype(str)

    def open_test(self, choices: Mapping[str, Mapping[str, object]]) -> TestSplit:
        """Returns the test split; there is no other way to it.

        Args:
            choices: by evaluation and task, what was chosen before; remembered in `opened_after`.

        Raises:
            ValueError: nothing was chosen yet, or the split was opened before.
        """
        if not choices or not all(choices.values()):
            raise ValueError(f"{self.name}: the test split opens after every choice; got no choice")
        if self.opened_after:
            raise ValueError(
                f"{self.name}: the test split was opened before, after the choices of "
                f"{', '.join(self.opened_after)}; make a new subject and choose again"
            )
        self.opened_after = tuple(choices)
        logger.info(
            "%s: test split of %s opened, after the choices of %s",
            self.name, self.labelled_set.name, ", ".join(self.opened_after),
        )  # fmt: skip
        split = self._open("test")
        units = self._units("test")
        return TestSplit(split.features, split.labels, split.tasks, split.captions, split.images, units=units)

    def _open(self, split: str) -> Split:
        rows = self.labelled_set.rows(split)
        table, tasks = self.labelled_set.table, self.labelled_set.tasks
        labels = {task: table[label_column(task)].to_numpy()[rows] for task in tasks}
        features = self._read_features(split)
        if len(features) != len(rows):
            raise ValueError(f"{self.name}: {len(features)} features of {len(rows)} {split} images")
        images = None if self._open_images is None else self._open_images(split)
        return Split(features, labels, tasks, self.labelled_set.captions(split), images)
