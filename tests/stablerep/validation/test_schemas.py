"""Planted faults of every kind are named by column, check and row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from stablerep.caption_ids import caption_id_of
from stablerep.errors import DataError
from stablerep.storage.lazy_tables import parts_of
from stablerep.validation import schemas
from stablerep.validation.schemas import (
    AlignmentScores,
    CaptionAudit,
    CaptionScores,
    CaptionsIn,
    ConceptBalance,
    CorpusImages,
    CuratedCaptions,
    EvaluationCaptions,
    GuidanceTrials,
    ImageAudit,
    ImageAuditPairs,
    ImageManifest,
    ImageSetCaptions,
    ImageSetImages,
    ImageSetMetrics,
    Metrics,
    NearImages,
    RejectedCaptions,
    Table,
    Takedowns,
    UnitScores,
)

_TEXTS = ["a nine", "a ten"]
_CURATED = pd.DataFrame(
    {
        "caption_id": [caption_id_of(text) for text in _TEXTS],
        "text": _TEXTS,
        "source": "test",
        "licence": "CC0-1.0",
        "line": [2, 3],
    }
)
_IMAGE = {
    "caption_id": caption_id_of("a nine"),
    "image_index": 0,
    "seed": 2**63 - 1,
    "generator_id": "g-1",
    "shard": "00000.tar",
    "digest": "0" * 32,
    "member": "c.0.png",
    "width_px": 32,
    "height_px": 32,
    "state": "intact",
    "alignment": 0.5,
}
_CORPUS_IMAGE: dict[str, Any] = {
    **{"key": "a/1.png", "path": "images.tar", "offset": 512, "size_bytes": 900, "row": -1},
    **{"file_bytes": 10_240, "mtime_ns": 1_700_000_000_000_000_000, "digest": "0" * 32},
    **{"captions": ["a nine", "nine"], "split": "train", "split_given": False, "unit": "writer 7"},
    **{"width_px": 32, "height_px": 24, "label.digit": 9},
}
_CORPUS_FILE = {"path": "a/2.png", "offset": -1, "size_bytes": 10_240, "captions": [], "label.digit": -1}
_SET_IMAGE = {
    **{"image_id": f"{caption_id_of('a nine')}.0", "caption_id": caption_id_of("a nine")},
    **{"part": "synthetic", "digest": "0" * 32, "label.digit": 9},
    **{"shard": "00000.tar", "pixel_std": 0.2},
}
_SCORE = {
    "caption_id": caption_id_of("a nine"),
    "image_index": 0,
    "text": "a nine",
    "digest": "0" * 32,
    "generator_id": "g-1",
    "scorer_id": "a-" + "0" * 16,
    "alignment": -0.25,
}
_METRIC = {
    **{"arm": "simclr_real", "seed": 0, "method": "simclr", "images": "real"},
    **{"set": "scenes", "task": "digit", "evaluation": "knn", "version": 1, "metric": "accuracy"},
    **{"value": 0.5, "low": 0.4, "high": 0.6, "num_units": 450, "num_images": 1_800},
    **{"validation": float("nan"), "chosen": "{}"},
}
_UNIT_SCORE = {
    **{"arm": "simclr_real", "seed": 0, "set": "scenes", "task": "digit", "evaluation": "knn"},
    **{"metric": "accuracy", "unit": "writer 7", "score": 0.25},
}
_BLANKED = {"digest": "", "width_px": 0, "height_px": 0, "state": "rejected_unsafe"} | {
    "alignment": float("nan")
}
_TRIAL = {
    "trial": 0,
    "guidance_scale": 3.0,
    "num_inference_steps": 5,
    "seed": 0,
    "validation_accuracy": 0.8,
    "passes_per_image": 8.0,
    "unit_scores": [0.7, 0.9],
    "state": "complete",
    "seconds": 1.5,
}
_TERM_PAIR = {
    **{"group_a": "ink", "term_a": "navy", "group_b": "digit", "term_b": "nine"},
    **{"num_a": 4, "num_b": 5, "num_both": 2, "pmi": 0.5, "low": float("nan"), "high": 1.5},
    "verdict": "unclear",
}
_DRAWN_PAIR = {
    f"{name}_drawn": _TERM_PAIR[name]
    for name in ("num_a", "num_b", "num_both", "pmi", "low", "high", "verdict")
}
_TERM = {
    **{"group": "ink", "term": "navy", "num_asked": 4, "asked": 0.5, "num_drawn": 3, "drawn": 0.375},
    **{"low": 0.2, "high": 0.6, "gap": -0.125, "matched": 0.75},
}
_TAKEDOWN = {
    **{"what": caption_id_of("a nine"), "kind": "caption", "reason": "asked to"},
    **{"date": "2026-01-31", "who": "Ada"},
}
_SET_METRIC = {
    "image_set": "synthetic", "metric": "coverage", "group": "all", "value": 0.5, "num_images": 9,
    "reference": "scenes.validation", "reference_digest": "d" * 32, "num_reference": 8, "extractor": "scorer",
    "version": 1,
}  # fmt: skip
_NEAR = {
    "image_set": "synthetic", "kind": "overlap", "image_id": "a", "other_set": "scenes.test", "other_id": "b",
    "similarity": 0.9, "extractor": "scorer", "picture": b"png", "other_picture": b"png",
}  # fmt: skip
VALID = {
    CaptionScores: pd.DataFrame(
        {"caption_id": _CURATED["caption_id"], "score.length": [2.0, 3.0], "score.block_list_x2": [0.0, 1.0]}
    ),
    ImageSetMetrics: pd.DataFrame([_SET_METRIC, {**_SET_METRIC, "group": "digit=nine"}]),
    NearImages: pd.DataFrame([_NEAR]),
    ConceptBalance: pd.DataFrame({"entry": ["nine", "ten"], "before": [5, 3], "after": [4, 3]}),
    CaptionAudit: pd.DataFrame([{**_TERM_PAIR, "when": each} for each in ("before", "after")]),
    ImageAudit: pd.DataFrame([_TERM, {**_TERM, "term": "black"}]),
    ImageAuditPairs: pd.DataFrame([{**_TERM_PAIR, **_DRAWN_PAIR}]),
    Takedowns: pd.DataFrame([_TAKEDOWN]),
    CaptionsIn: _CURATED.drop(columns="caption_id").rename(columns={"text": "caption"}),
    CuratedCaptions: _CURATED,
    RejectedCaptions: _CURATED.assign(filter="length", reason="too_few_words", score=1.0),
    ImageManifest: pd.DataFrame([_IMAGE, {**_IMAGE, "image_index": 1, **_BLANKED}]),
    CorpusImages: pd.DataFrame([_CORPUS_IMAGE, {**_CORPUS_IMAGE, "key": "a/2.png", **_CORPUS_FILE}]),
    ImageSetImages: pd.DataFrame([_SET_IMAGE, {**_SET_IMAGE, "image_id": "x", "label.digit": -1}]),
    ImageSetCaptions: _CURATED.drop(columns="line").assign(text=["a nine", ""]),
    AlignmentScores: pd.DataFrame([_SCORE, {**_SCORE, "image_index": 1}]),
    EvaluationCaptions: pd.DataFrame({"caption": _TEXTS}),
    Metrics: pd.DataFrame([_METRIC, {**_METRIC, "evaluation": "linear_probe", "validation": 0.5}]),
    UnitScores: pd.DataFrame([_UNIT_SCORE, {**_UNIT_SCORE, "unit": "writer 8"}]),
    GuidanceTrials: pd.DataFrame([_TRIAL, {**_TRIAL, "trial": 1}]),
}
FAULTS: list[tuple[type[Table], Callable[[pd.DataFrame], Any], str]] = [
    (CaptionsIn, lambda f: f.assign(line=[1, 0]), r"column 'line': greater_.*row 1: 0"),
    (CaptionsIn, lambda f: f.assign(source=["", "x"]), r"column 'source': str_length.*row 0: ''"),
    (CaptionsIn, lambda f: f.assign(caption=["a", None]), r"column 'caption': not_nullable.*row 1"),
    (CuratedCaptions, lambda f: f.assign(text=["", "x"]), r"column 'text': str_length"),
    (CuratedCaptions, lambda f: f.assign(caption_id="x"), r"column 'caption_id': str_matches"),
    (
        CuratedCaptions,
        lambda f: pd.concat([f, f], ignore_index=True),
        r"column 'caption_id': field_uniqueness: row 0 \(c-[0-9a-f]{16}\): 'c-",
    ),
    (CuratedCaptions, lambda f: f.drop(columns="line"), r"column 'line': missing"),
    (CuratedCaptions, lambda f: f.assign(score=1), r"column 'score': unknown"),
    (CuratedCaptions, lambda f: f.assign(line=[2.0, 3.0]), r"'line': got type float64; must be 'int64'"),
    (CuratedCaptions, lambda f: f.assign(text=[1, 2]), r"column 'text': got type int64; must be"),
    (CuratedCaptions, lambda f: f.to_dict(), r"got dict; must be a pandas DataFrame"),
    (RejectedCaptions, lambda f: f.assign(reason="Too few!"), r"column 'reason': str_matches"),
    (RejectedCaptions, lambda f: f.assign(filter=""), r"column 'filter': str_length"),
    (CaptionScores, lambda f: f.assign(caption_id="x"), r"column 'caption_id': str_matches"),
    (CaptionScores, lambda f: f.assign(**{"score.Length": 1.0}), r"column 'score.Length': unknown"),
    (ConceptBalance, lambda f: f.assign(after=[6, 3]), r"rows: after <= before: row 0"),
    (ConceptBalance, lambda f: f.assign(entry="nine"), r"column 'entry': field_uniqueness"),
    (CaptionAudit, lambda f: f.assign(verdict="fair"), r"column 'verdict': isin"),
    (CaptionAudit, lambda f: f.assign(when="during"), r"column 'when': isin"),
    (CaptionAudit, lambda f: f.assign(num_both=-1), r"column 'num_both': greater_than"),
    (ImageAudit, lambda f: f.assign(drawn=37.5), r"column 'drawn': less_than_or_equal_to\(1\)"),
    (ImageAudit, lambda f: f.assign(gap=-2.0), r"column 'gap': greater_than"),
    (ImageAuditPairs, lambda f: f.assign(verdict_drawn=""), r"column 'verdict_drawn': isin"),
    (Takedowns, lambda f: f.assign(kind="encoder"), r"column 'kind': isin"),
    (ImageManifest, lambda f: f.assign(image_index=0), r"rows: multiple_fields_uniqueness: row 0"),
    (ImageManifest, lambda f: f.assign(digest="no"), r"column 'digest': str_matches"),
    (ImageManifest, lambda f: f.assign(shard="00000"), r"column 'shard': str_endswith"),
    (ImageManifest, lambda f: f.assign(alignment=1.5), r"column 'alignment': less_than"),
    (
        ImageManifest,
        lambda f: f.assign(state="rejected_misaligned"),
        r"rows: a misaligned image has a score: row 1 ",
    ),
    (AlignmentScores, lambda f: f.assign(alignment=float("nan")), r"column 'alignment': not_nullable"),
    (AlignmentScores, lambda f: f.assign(scorer_id="clip"), r"column 'scorer_id': str_matches"),
    (AlignmentScores, lambda f: f.assign(image_index=0), r"rows: multiple_fields_uniqueness: row 0"),
    (ImageManifest, lambda f: f.assign(state="torn"), r"column 'state': isin"),
    (Metrics, lambda f: f.assign(low=0.55), r"rows: low <= value <= high: row 0: arm 'simclr_real'"),
    (EvaluationCaptions, lambda f: f.assign(caption=["a", ""]), r"column 'caption': str_length.*row 1: ''"),
    (EvaluationCaptions, lambda f: f.rename(columns={"caption": "text"}), r"column 'caption': missing"),
    (GuidanceTrials, lambda f: f.assign(trial=0), r"column 'trial': field_uniqueness"),
    (
        GuidanceTrials,
        lambda f: f.assign(validation_accuracy=float("nan")),
        r"rows: a complete trial has an accuracy: row 0",
    ),
    (CorpusImages, lambda f: f.assign(key="a/1.png"), r"column 'key': field_uniqueness: row 0: 'a/1.png'"),
    (CorpusImages, lambda f: f.assign(split="fit"), r"column 'split': isin.*row 0: 'fit'"),
    (
        CorpusImages,
        lambda f: f.assign(split=["train", "test"]),
        r"rows: no unit in two splits: .*row 1",
    ),
    (
        CorpusImages,
        lambda f: f.assign(captions="a nine"),
        r"'captions': a list of texts: row 0: 'a nine'",
    ),
    (CorpusImages, lambda f: f.assign(captions=[["a"], [1]]), r"'captions': a list of texts: row 1: \[1\]"),
    (CorpusImages, lambda f: f.assign(captions=[["a"], None]), r"column 'captions': .*row 1: None"),
    (CorpusImages, lambda f: f.assign(offset=-2), r"column 'offset': greater_than"),
    (CorpusImages, lambda f: f.assign(size_bytes=-2), r"column 'size_bytes': greater_than"),
    (CorpusImages, lambda f: f.assign(row=-2), r"column 'row': greater_than"),
    (CorpusImages, lambda f: f.assign(file_bytes=-2), r"column 'file_bytes': greater_than"),
    (CorpusImages, lambda f: f.assign(digest=""), r"column 'digest': str_matches"),
    (CorpusImages, lambda f: f.assign(unit=""), r"column 'unit': str_length"),
    (
        CorpusImages,
        lambda f: f.assign(split_given="no"),
        r"'split_given': got type .*; must be 'bool'",
    ),
    (CorpusImages, lambda f: f.assign(width_px=0), r"column 'width_px': greater_than"),
    (CorpusImages, lambda f: f.assign(height_px=0), r"column 'height_px': greater_than"),
    (CorpusImages, lambda f: f.assign(**{"label.digit": -2}), r"column 'label.digit': greater_than"),
    (CorpusImages, lambda f: f.assign(**{"label.": 1}), r"column 'label.': unknown"),
    (ImageSetImages, lambda f: f.assign(image_id="x"), r"column 'image_id': field_uniqueness: row 0"),
    (ImageSetImages, lambda f: f.assign(image_id=["x", ""]), r"column 'image_id': str_length.*row 1"),
    (ImageSetImages, lambda f: f.assign(caption_id="x"), r"column 'caption_id': str_matches"),
    (ImageSetImages, lambda f: f.assign(part=""), r"column 'part': str_length"),
    (ImageSetImages, lambda f: f.assign(digest=""), r"column 'digest': str_matches"),
    (ImageSetImages, lambda f: f.assign(**{"label.digit": -2}), r"column 'label.digit': greater_than"),
    (ImageSetImages, lambda f: f.assign(**{"label.digit": 1.0}), r"'label.digit': got type float64"),
    (ImageSetImages, lambda f: f.drop(columns="part"), r"column 'part': missing"),
    (ImageSetCaptions, lambda f: f.assign(caption_id=f["caption_id"][0]), r"'caption_id': field_uniqueness"),
    (ImageSetCaptions, lambda f: f.assign(source=""), r"column 'source': str_length"),
    (ImageSetCaptions, lambda f: f.assign(licence=["x", ""]), r"column 'licence': str_length.*row 1"),
    (ImageSetCaptions, lambda f: f.assign(line=1), r"column 'line': unknown"),
    (Metrics, lambda f: f.assign(high=0.45), r"rows: low <= value <= high: row 0: arm 'simclr_real'"),
    (Metrics, lambda f: f.assign(value=float("nan")), r"column 'value': not_nullable"),
    (Metrics, lambda f: f.assign(evaluation="knn"), r"rows: multiple_fields_uniqueness.*evaluation 'knn'"),
    (Metrics, lambda f: f.assign(num_units=0), r"column 'num_units': greater_than"),
    (Metrics, lambda f: f.assign(version=0), r"column 'version': greater_than"),
    (Metrics, lambda f: f.assign(seed=-1), r"column 'seed': greater_than"),
    (Metrics, lambda f: f.assign(set=""), r"column 'set': str_length"),
    (UnitScores, lambda f: f.assign(unit="writer 7"), r"rows: multiple_fields_uniqueness.*unit 'writer 7'"),
    (UnitScores, lambda f: f.assign(score=float("nan")), r"column 'score': not_nullable"),
    (UnitScores, lambda f: f.assign(task=""), r"column 'task': str_length"),
    (ImageSetMetrics, lambda f: f.assign(group="all"), r"rows: multiple_fields_uniqueness.*group 'all'"),
    (ImageSetMetrics, lambda f: f.assign(reference_digest=""), r"column 'reference_digest': str_matches"),
    (ImageSetMetrics, lambda f: f.assign(num_images=0), r"column 'num_images': greater_than"),
    (NearImages, lambda f: f.assign(similarity=1.5), r"column 'similarity': less_than"),
    (NearImages, lambda f: f.assign(kind="other"), r"column 'kind': isin"),
    (UnitScores, lambda f: f.assign(seed=0.0), r"column 'seed': got type float64; must be 'int64'"),
]


def test_every_model_has_a_right_table_and_a_planted_fault() -> None:
    models = {
        each
        for name, each in vars(schemas).items()
        if isinstance(each, type) and issubclass(each, Table) and each is not Table and name[0] != "_"
    }
    assert models == set(VALID) == {model for model, _, _ in FAULTS}


def test_a_corpus_without_labels_and_an_image_set_with_columns_of_its_source_are_right() -> None:
    for model in (CorpusImages, ImageSetImages):
        bare = VALID[model].drop(columns="label.digit")
        pd.testing.assert_frame_equal(model.validate(bare), bare)
    more = VALID[ImageSetImages].assign(width_px=32)
    pd.testing.assert_frame_equal(ImageSetImages.validate(more), more)


def test_rewriters_alone_give_no_score() -> None:
    bare = VALID[CaptionScores][["caption_id"]]
    pd.testing.assert_frame_equal(CaptionScores.validate(bare), bare)


@pytest.mark.parametrize("model", VALID)
def test_a_right_table_passes_as_it_is(model: type[Table]) -> None:
    pd.testing.assert_frame_equal(model.validate(VALID[model]), VALID[model])


@pytest.mark.parametrize("model", VALID)
def test_a_right_table_passes_after_parquet(model: type[Table], tmp_path: Path) -> None:
    VALID[model].to_parquet(tmp_path / "x.parquet")
    read = pd.read_parquet(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(model.validate(read), read)
    VALID[model][:0].to_parquet(tmp_path / "none.parquet")
    assert model.validate(pd.read_parquet(tmp_path / "none.parquet")).empty


@pytest.mark.parametrize(("model", "plant", "message"), FAULTS)
def test_a_planted_fault_is_named(
    model: type[Table], plant: Callable[[pd.DataFrame], Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        model.validate(plant(VALID[model]))
    assert str(caught.value).startswith(f"table {model.__name__}: ")


def _rejects(num: int) -> pd.DataFrame:
    return pd.concat([VALID[RejectedCaptions]] * num, ignore_index=True)[:num]


def test_a_lazy_table_is_checked_by_parts_and_its_rows_are_named_as_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schemas, "parts_of", lambda table: parts_of(table, 3))
    sound = pl.from_pandas(_rejects(7)).lazy()
    assert RejectedCaptions.validate(sound) is sound
    lines = [*range(1, 6), -3, 7]
    with pytest.raises(DataError, match=r"table RejectedCaptions: 1 check .*\n.*'line'.*row 5 \(c-.*: -3"):
        RejectedCaptions.validate(pl.from_pandas(_rejects(7).assign(line=lines)).lazy())
    with pytest.raises(DataError, match="column 'score': missing"):
        RejectedCaptions.validate(sound.drop("score"))
    with pytest.raises(DataError, match="column 'more': unknown"):
        RejectedCaptions.validate(sound.head(0).with_columns(pl.lit(1).alias("more")))


def test_equal_ids_of_two_parts_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "parts_of", lambda table: parts_of(table, 3))
    texts = [f"a {number}" for number in range(8)]
    ids = [caption_id_of(text) for text in texts]
    frame = pd.DataFrame({"caption_id": ids, "text": texts, "source": "s", "licence": "l", "line": 1})
    sound = pl.from_pandas(frame).lazy()
    assert CuratedCaptions.validate(sound) is sound
    ids[7] = ids[1]
    planted = pl.from_pandas(frame.assign(caption_id=ids)).lazy()
    with pytest.raises(DataError, match=rf"column 'caption_id': .*row 1 \({ids[1]}\).*; row 7 \({ids[1]}\)"):
        CuratedCaptions.validate(planted)


@pytest.mark.parametrize("model", [ConceptBalance, Metrics])
def test_a_lazy_table_is_refused_where_a_check_looks_across_rows(model: type[Table]) -> None:
    with pytest.raises(DataError, match="got a polars LazyFrame; must be a pandas DataFrame"):
        model.validate(pl.from_pandas(VALID[model]).lazy())


def test_only_the_first_five_rows_are_named() -> None:
    texts = [f"a {number}" for number in range(8)]
    ids = [caption_id_of(text) for text in texts]
    frame = pd.DataFrame({"caption_id": ids, "text": texts, "source": "s", "licence": "l", "line": -1})
    with pytest.raises(DataError) as caught:
        CuratedCaptions.validate(frame)
    message = str(caught.value)
    assert f"row 4 ({ids[4]}): -1; and 3 more" in message
    assert "row 5" not in message


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(DataError, match="table CuratedCaptions: 3 checks failed") as caught:
        CuratedCaptions.validate(_CURATED.assign(line=[2, -3], text=["", "x"], more=1))
    assert str(caught.value).count("\n- ") == 3


def test_long_values_are_cut() -> None:
    with pytest.raises(DataError) as caught:
        CuratedCaptions.validate(_CURATED.assign(caption_id=["x" * 10_000, "y"]))
    assert len(str(caught.value)) < 500 + 10_000  # the row's own name stands once
    assert "x" * 59 + "..." in str(caught.value)


@pytest.mark.parametrize("bad", [False, True])
def test_kedro_checks_them_on_save(bad: bool) -> None:
    from kedro.io import DataCatalog
    from kedro.validation.exceptions import DataValidationError

    path = f"{schemas.__name__}.CuratedCaptions"
    catalog = DataCatalog.from_config({"x": {"type": "kedro.io.MemoryDataset", "validator": path}})
    if not bad:
        catalog.save("x", _CURATED)
        return
    with pytest.raises(DataValidationError, match="'x' on save") as caught:
        catalog.save("x", _CURATED.assign(line=-1))
    assert isinstance(caught.value.__cause__, DataError)
    assert "column 'line'" in str(caught.value)
