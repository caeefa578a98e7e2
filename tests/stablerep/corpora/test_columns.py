"""Usual columns are read where they are there; those that the user names must be there."""

import pytest

from stablerep.corpora.columns import ChosenColumns, check_column_names, texts_of
from stablerep.errors import ConfigError, DataError

USUAL = {"caption": "text", "label": "label"}


def test_usual_columns_are_optional() -> None:
    assert ChosenColumns.of(None, USUAL, ["text"], "f") == ChosenColumns({"caption": "text"}, {})
    assert ChosenColumns.of(None, USUAL, ["label"], "f") == ChosenColumns({}, {"class": "label"})


def test_null_leaves_a_usual_column_out() -> None:
    given = {"caption": None, "label": None}
    assert ChosenColumns.of(given, USUAL, ["text", "label"], "f") == ChosenColumns({}, {})


def test_labels_may_be_of_several_tasks() -> None:
    given = {"label": {"colour": "c", "shape": "s"}}
    assert ChosenColumns.of(given, USUAL, ["c", "s"], "f").labels == {"colour": "c", "shape": "s"}


def test_a_named_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(
        DataError, match=r"f: has no column 'captoin' for the caption.* The nearest is 'caption'"
    ):
        ChosenColumns.of({"caption": "captoin"}, USUAL, ["caption"], "f")
    with pytest.raises(DataError, match="has no column 'x' for the label"):
        ChosenColumns.of({"label": {"a": "x"}}, USUAL, ["caption"], "f")


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"corpus\.columns\.captions: unknown.*'caption'"):
        check_column_names({"captions": "text"})


def test_a_cell_holds_one_text_several_or_none() -> None:
    cells = ["a", ["a", "b"], "", None, float("nan"), ["a", None], b"a"]
    assert [texts_of(cell) for cell in cells] == [["a"], ["a", "b"], [], [], [], ["a"], ["a"]]
    with pytest.raises(DataError, match="a text or a list of texts"):
        texts_of({"a": 1})
