"""Evaluation sets."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.evaluation.labelled_set import LabelledSet
from tests.stablerep.evaluation.sets import NUM, labelled_set

SET = labelled_set()


def _changed(column: str, row: int, value: object) -> pd.DataFrame:
    table = SET.table.copy()
    table.loc[row, column] = value
    return table


def test_rows_are_those_of_the_split_in_the_order_of_the_table() -> None:
    for split, num in NUM.items():
        rows = SET.rows(split)
        assert len(rows) == num
        assert (np.diff(rows) > 0).all()
        assert set(SET.table["split"].iloc[rows]) == {split}


def test_equal_sets_have_equal_digests() -> None:
    assert labelled_set().digest == SET.digest


@pytest.mark.parametrize(
    ("column", "value"), [("key", "other"), ("unit", "x"), ("label.shape", -1), ("digest", "ff0")]
)
def test_a_change_of_any_column_changes_the_digest(column: str, value: object) -> None:
    assert replace(SET, table=_changed(column, 5, value)).digest != SET.digest


def test_an_image_in_another_split_changes_the_digest() -> None:
    row = int(SET.rows("train")[0])
    assert replace(SET, table=_changed("split", row, "test")).digest != SET.digest


def test_a_change_of_order_changes_the_digest() -> None:
    assert replace(SET, table=SET.table.iloc[::-1].reset_index(drop=True)).digest != SET.digest


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (SET.table.drop(columns=["unit", "label.shape"]), "lacks the columns label.shape, unit"),
        (_changed("key", 1, "image-0"), "has the key 'image-0' twice"),
        (_changed("split", 1, "held_out"), "has the split 'held_out'; it must be one of train, "),
        (_changed("label.shape", 1, 4), "has the label 4; it must be >= 0 and < 4"),
        (_changed("label.shape", 1, -2), "has the label -2"),
        (SET.table.astype({"label.shape": np.int32}), "labels are int32; they must be int64"),
        (SET.table[SET.table["split"] != "validation"], "'shape' has no validation image with a label"),
    ],
)
def test_a_table_that_is_no_evaluation_set_is_refused(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=f"evaluation set 'shapes'.*{message}"):
        replace(SET, table=table)


def test_a_set_without_a_task_is_refused() -> None:
    with pytest.raises(DataError, match="has no task"):
        LabelledSet("shapes", {}, {}, SET.table)


def test_captions_of_a_split_are_in_the_order_of_its_rows_and_without_empty_ones() -> None:
    plain = labelled_set()
    assert not plain.has_captions
    assert plain.captions("test") == [()] * len(plain.rows("test"))
    texts = [[f" {key} ", "", "  ", "both"] for key in plain.table["key"]]
    table = plain.table.assign(captions=pd.Series(texts, dtype=object))
    captioned = replace(plain, table=table)
    keys = table["key"].iloc[captioned.rows("test")]
    assert captioned.captions("test") == [(key, "both") for key in keys]
    assert captioned.has_captions
    assert captioned.digest == plain.digest, "features do not depend on captions"


def test_captions_of_one_split_alone_do_not_suffice() -> None:
    plain = labelled_set()
    for split in ("validation", "test"):
        texts = [["a text"] if each == split else [] for each in plain.table["split"]]
        table = plain.table.assign(captions=pd.Series(texts, dtype=object))
        assert not replace(plain, table=table).has_captions
