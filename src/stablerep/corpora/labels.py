"""Turns the labels of a data set, numbers or names, into indices of classes.

Legend: I images, C classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stablerep.corpora.corpus import UNKNOWN_LABEL, WHERE, Task
from stablerep.errors import DataError

# class index -> name, or label as it stands in the data -> name
ClassNames = Sequence[str] | Mapping[str, str]
DEFAULT_TASK = "class"
_NUM_SHOWN = 5


def encode_labels(
    task: str, labels: Sequence[Any], class_names: ClassNames | None, prompts: Sequence[str] | None
) -> tuple[Task, npt.NDArray[np.int64]]:
    """Makes a task of a column of labels.

    Args:
        task: its name.
        labels: I numbers or names; None, "" and numbers below 0 stand for an unknown label.
        class_names: the names in their order, which numbers point into; or a mapping of what stands in the
            data to names, such as `n01440764` to `tench`. None takes what stands in the data, in sorted
            order.
        prompts: of the task; None takes the default.

    Returns:
        The task, and (I,) indices of classes, -1 where the label is unknown.

    Raises:
        DataError: a label is not among the class names, or is neither a number nor a name.
    """
    cells = [_cell(task, label) for label in labels]
    there = {cell for cell in cells if cell is not None}
    if class_names is None:
        ordered = sorted(there, key=lambda cell: (int(cell), "") if cell.isdecimal() else (-1, cell))
        names, index_of = ordered, {cell: index for index, cell in enumerate(ordered)}
    elif isinstance(class_names, Mapping):
        names = [str(name) for name in class_names.values()]
        index_of = {str(cell): index for index, cell in enumerate(class_names)}
    else:
        names = [str(name) for name in class_names]
        index_of = {str(index): index for index in range(len(names))}
        index_of |= {name: index for index, name in enumerate(names)}
    unknown = sorted(there - set(index_of))
    if unknown:
        raise DataError(
            f"corpus: {len(unknown)} labels of task {task!r} are not in class_names: "
            f"{', '.join(map(repr, unknown[:_NUM_SHOWN]))}; there are {len(names)} names. Add them in "
            f"{WHERE}."
        )
    made = Task(task, tuple(names)) if prompts is None else Task(task, tuple(names), tuple(prompts))
    indices = [UNKNOWN_LABEL if cell is None else index_of[cell] for cell in cells]
    return made, np.array(indices, np.int64)


def _cell(task: str, label: Any) -> str | None:
    """Returns a label as text; None where it is unknown."""
    if label is None or label == "":
        return None
    if isinstance(label, str):
        return label
    if isinstance(label, float | np.floating) and np.isnan(label):
        return None
    if isinstance(label, bool | np.bool_):
        return str(label).lower()
    if isinstance(label, int | float | np.integer | np.floating) and label == int(label):
        return str(int(label)) if label >= 0 else None
    raise DataError(
        f"corpus: task {task!r} has the label {label!r}; a label must be a whole number or a name. Choose "
        f"another label column in {WHERE}, or null."
    )
