"""The caption gate's node: too few captions for a batch are noticed before anything is written."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from pipelines.config.batches import check_batches
from pipelines.config.loader import compose
from pipelines.validation.nodes import check_captions
from stablerep.corpora.corpus import Corpus, Task
from stablerep.errors import DataError, GateError

FOLDER = Path(__file__).parents[3] / "conf/params"
BARE: dict[str, Any] = {"groups": {}, "captions": {}, "terms": {}, "term_pairs": {}}
NONE = pd.DataFrame({"caption": pd.Series([], dtype="str")})
SETS = {"real": {"source": "rendered"}, "drawn": {"source": "generated"}, "own": {"source": "corpus"}}
WIDE = {"wide": {"method": "clip", "images": "real"}}
NARROW = {"narrow": {"method": "stablerep", "images": "drawn"}}
ARMS = WIDE | NARROW


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The methods, and a training whose step holds four captions with four images."""
    return compose(FOLDER, {"training.batch": {"captions": 4, "images_per_caption": 4, "chunk": None}})


class Anything(Corpus):
    """Renders whatever a caption says, and has one task that no caption here names a class of."""

    name = "anything"
    can_render = True

    def tasks(self) -> dict[str, Task]:
        return {"animal": Task("animal", ("dog", "cat"))}


class Choosy(Anything):
    """Renders captions with a dog."""

    def check_renderable(self, texts: Sequence[str]) -> None:
        if not all("dog" in text for text in texts):
            raise DataError("a caption has no dog.")


def captions(num: int) -> pl.LazyFrame:
    rows = [
        {"caption_id": f"c-{n}", "text": f"a caption {n}", "source": "s", "licence": "l", "line": n}
        for n in range(num)
    ]
    return pl.LazyFrame(rows)


def check(
    composed: dict[str, Any],
    num: int,
    folder: Path,
    arms: dict[str, Any] = ARMS,
    validation: dict[str, Any] = BARE,
    sets: dict[str, Any] = SETS,
    held_out: pd.DataFrame = NONE,
    corpus: dict[str, Any] | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    method, training = composed["method"], composed["training"]
    corpus = corpus or {"_target_": f"{__name__}.Anything"}
    return check_captions(captions(num), held_out, validation, corpus, sets, arms, method, training, folder)


def test_one_caption_fewer_than_the_widest_batch_is_refused_and_nothing_written(
    tmp_path: Path, composed: dict[str, Any]
) -> None:
    with pytest.raises(DataError) as caught:
        check(composed, 15, tmp_path / "docs")
    message = str(caught.value)
    assert message.startswith("captions: got 15; must be at least 16")
    assert "arm 'wide'" in message
    assert "takes for its 16 views" in message
    assert not (tmp_path / "docs").exists()


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("mine.jsonl", "mine.jsonl"),
        ({"train": "a.csv", "test": "b.csv"}, "a.csv, b.csv"),
        (None, "the corpus"),
    ],
)
def test_too_few_captions_name_the_files_that_they_were_read_from(
    path: Any, named: str, composed: dict[str, Any]
) -> None:
    settings = (composed["method"], composed["training"], {"path": path} if path else {})
    with pytest.raises(DataError, match=f"Add captions to {re.escape(named)}, look at why"):
        check_batches(15, SETS, ARMS, *settings)


def test_just_as_many_captions_as_the_widest_batch_holds_pass(
    tmp_path: Path, composed: dict[str, Any]
) -> None:
    rules = {"enough": {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 2}}}
    passed, report = check(composed, 16, tmp_path / "docs", validation=BARE | {"captions": rules})
    assert len(passed) == 16
    assert report["success"]


def test_only_the_methods_that_arms_train_count(tmp_path: Path, composed: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="got 3; must be at least 4"):
        check(composed, 3, tmp_path, NARROW)


def test_a_limit_of_the_arms_image_set_counts(tmp_path: Path, composed: dict[str, Any]) -> None:
    sets = SETS | {"real": {"source": "rendered", "num_captions": 15}}
    with pytest.raises(DataError, match="got 15; must be at least 16"):
        check(composed, 100, tmp_path, sets=sets)


def test_a_batch_of_its_own_counts(tmp_path: Path, composed: dict[str, Any]) -> None:
    wider = {"wide": WIDE["wide"] | {"training": {"batch": {"captions": 8}}}}
    with pytest.raises(DataError, match="got 31; must be at least 32"):
        check(composed, 31, tmp_path, wider)


def test_real_images_need_no_curated_captions(tmp_path: Path, composed: dict[str, Any]) -> None:
    own = {"own": {"method": "simclr", "images": "own"}}
    passed, _ = check(composed, 2, tmp_path, own)
    assert len(passed) == 2


def test_a_caption_of_the_evaluation_set_is_noticed(tmp_path: Path, composed: dict[str, Any]) -> None:
    rule = {"type": "expect_column_values_to_be_null", "kwargs": {"column": "evaluation_text"}}
    validation = BARE | {"captions": {"held_out": rule}}
    held_out = pd.DataFrame({"caption": ["A caption 3!"]})
    with pytest.raises(GateError, match="text 'a caption 3'"):
        check(composed, 16, tmp_path, validation=validation, held_out=held_out)


def test_captions_that_the_corpus_cannot_render_end_the_run_before_images_are_drawn(
    tmp_path: Path, composed: dict[str, Any]
) -> None:
    choosy = {"_target_": f"{__name__}.Choosy"}
    with pytest.raises(DataError, match=r"image_sets\.real is rendered, but a caption has no dog\."):
        check(composed, 16, tmp_path / "docs", corpus=choosy)
    assert not (tmp_path / "docs").exists()
    drawn = {"drawn": {"source": "generated"}}
    assert len(check(composed, 16, tmp_path, NARROW, sets=drawn, corpus=choosy)[0]) == 16


def test_captions_that_name_no_class_end_a_run_whose_method_learns_from_labels(
    tmp_path: Path, composed: dict[str, Any]
) -> None:
    labelled = {"by_label": {"method": "supcon", "images": "drawn"}}
    told = r"by_label: method supcon learns from labels, and no caption .*'drawn' names a class of 'animal'"
    with pytest.raises(DataError, match=told):
        check(composed, 16, tmp_path / "docs", labelled)
    assert not (tmp_path / "docs").exists()
