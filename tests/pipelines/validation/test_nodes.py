"""The caption gate's node: too few captions for a batch are noticed before anything is written."""

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from pipelines.config.loader import compose
from pipelines.validation.nodes import check_captions
from stablerep.errors import DataError, GateError

FOLDER = Path(__file__).parents[3] / "conf/params"
BARE: dict[str, Any] = {"groups": {}, "captions": {}, "terms": {}, "term_pairs": {}}
NONE = pd.DataFrame({"caption": pd.Series([], dtype="str")})
ARMS = [
    {"name": "wide", "method": "clip", "images": "real"},
    {"name": "narrow", "method": "stablerep", "images": "drawn"},
]


@pytest.fixture(scope="module")
def methods() -> dict[str, Any]:
    return compose(FOLDER, {})["methods"]


BATCH = {"captions": 4, "images_per_caption": 4, "chunk": None}


def captions(num: int) -> pl.LazyFrame:
    rows = [
        {"caption_id": f"c-{n}", "text": f"a caption {n}", "source": "s", "licence": "l", "line": n}
        for n in range(num)
    ]
    return pl.LazyFrame(rows)


def test_one_caption_fewer_than_the_widest_batch_is_refused_and_nothing_written(
    tmp_path: Path, methods: dict[str, Any]
) -> None:
    with pytest.raises(DataError) as caught:
        check_captions(captions(15), NONE, BARE, BATCH, ARMS, methods, tmp_path / "docs")
    message = str(caught.value)
    assert message.startswith("captions: got 15; must be at least 16")
    assert "arm 'wide'" in message
    assert "of 16 views" in message
    assert not (tmp_path / "docs").exists()


def test_just_as_many_captions_as_the_widest_batch_holds_pass(
    tmp_path: Path, methods: dict[str, Any]
) -> None:
    rules = {"enough": {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 2}}}
    gates = BARE | {"captions": rules}
    passed, report = check_captions(captions(16), NONE, gates, BATCH, ARMS, methods, tmp_path / "docs")
    assert len(passed) == 16
    assert report["success"]


def test_only_the_methods_that_arms_train_count(tmp_path: Path, methods: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="got 3; must be at least 4"):
        check_captions(captions(3), NONE, BARE, BATCH, ARMS[1:], methods, tmp_path)


def test_a_caption_of_the_evaluation_set_is_noticed(tmp_path: Path, methods: dict[str, Any]) -> None:
    rule = {"type": "expect_column_values_to_be_null", "kwargs": {"column": "evaluation_text"}}
    gates = BARE | {"captions": {"held_out": rule}}
    held_out = pd.DataFrame({"caption": ["A caption 3!"]})
    with pytest.raises(GateError, match="text 'a caption 3'"):
        check_captions(captions(16), held_out, gates, BATCH, ARMS, methods, tmp_path)
