"""Numbers and names become indices of classes; what is not among the names is an error."""

from typing import Any

import numpy as np
import pytest

from stablerep.corpora.corpus import Task
from stablerep.corpora.labels import encode_labels
from stablerep.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("labels", "class_names", "classes", "expected"),
    [
        (["dog", "cat", None, ""], None, ("cat", "dog"), [1, 0, -1, -1]),
        ([10, 2, -1, np.nan], None, ("2", "10"), [1, 0, -1, -1]),
        (["10", "2"], None, ("2", "10"), [1, 0]),
        ([np.int64(1), 0.0], ["cat", "dog"], ("cat", "dog"), [1, 0]),
        (["1", "cat"], ["cat", "dog"], ("cat", "dog"), [1, 0]),
        (["n2", "n1"], {"n1": "tench", "n2": "shark"}, ("tench", "shark"), [1, 0]),
        ([True, False], None, ("false", "true"), [1, 0]),
    ],
)
def test_labels_are_indices_of_classes(
    labels: list[Any], class_names: Any, classes: tuple[str, ...], expected: list[int]
) -> None:
    task, found = encode_labels("class", labels, class_names, None)
    assert task == Task("class", classes)
    assert found.tolist() == expected


def test_a_label_without_a_name_is_an_error() -> None:
    with pytest.raises(DataError, match="1 labels of task 'class' are not in class_names: '2'; there are 2"):
        encode_labels("class", [0, 2], ["cat", "dog"], None)


@pytest.mark.parametrize("label", [0.5, [1], {"a": 1}])
def test_a_label_is_a_number_or_a_name(label: Any) -> None:
    with pytest.raises(DataError, match="whole number or a name"):
        encode_labels("class", [label], None, None)


def test_prompts_hold_the_class() -> None:
    assert encode_labels("class", ["a"], None, ["a drawing of a {}"])[0].prompts == ("a drawing of a {}",)
    with pytest.raises(ConfigError, match="each must hold {}"):
        encode_labels("class", ["a"], None, ["a drawing"])
    with pytest.raises(ConfigError, match="more than one class named 'x'"):
        encode_labels("class", [0], ["x", "x"], None)
