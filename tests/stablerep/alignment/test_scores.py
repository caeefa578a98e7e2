"""Scores are computed where they are missing and nowhere else."""

import logging

import pandas as pd
import pytest
import torch

from stablerep.alignment.scores import SCORE_COLUMNS, SCORES_FILE, read_scores, score_image_set
from stablerep.caption_ids import caption_id_of
from stablerep.errors import DataError
from stablerep.generation.image_sets.manifest import make_manifest
from stablerep.generation.image_sets.records import make_image_entry, make_record
from stablerep.generation.image_sets.wanted import CaptionPlan, Wanted
from stablerep.storage.shards import SHARDS_FOLDER, digest_of, encode_image, shard_name, write_shard
from stablerep.validation.schemas import AlignmentScores

TEXTS = ("a red", "some green", "all blue")
WANTED = Wanted("g-1", 0, 2, 2)


def write_set(store, levels):
    """Writes an image set of plain colours, (text, index) -> (3,) levels; returns its manifest."""
    shards = {}
    for text in dict.fromkeys(text for text, _ in levels):
        caption_id = caption_id_of(text)
        data = {
            index: encode_image(torch.tensor(rgb, dtype=torch.uint8)[:, None, None].expand(3, 4, 4))
            for (other, index), rgb in levels.items()
            if other == text
        }
        entries = [make_image_entry(caption_id, 0, i, digest_of(each), (4, 4)) for i, each in data.items()]
        record = make_record(CaptionPlan(caption_id, text, "test", "CC0-1.0"), WANTED, entries, (), False)
        shards.setdefault(shard_name(caption_id, 2), []).append((record, data))
    for name, samples in shards.items():
        write_shard(store / SHARDS_FOLDER / name, samples)
    return make_manifest({name: [record for record, _ in samples] for name, samples in shards.items()})


@pytest.fixture
def levels():
    """Two images a caption, the second of which is grey."""
    pure = {"a red": (200, 0, 0), "some green": (0, 200, 0), "all blue": (0, 0, 200)}
    return {(text, 0): rgb for text, rgb in pure.items()} | {(text, 1): (90, 90, 90) for text in pure}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "images"


def texts_of(texts=TEXTS):
    return {caption_id_of(text): text for text in texts}


def test_each_stored_image_gets_the_score_of_its_own_caption(store, levels, colour_scorer):
    scores, num = score_image_set(write_set(store, levels), texts_of(), store, colour_scorer)
    assert num == 6
    assert list(scores.columns) == list(SCORE_COLUMNS)
    found = {(row.text, row.image_index): row.alignment for row in scores.itertuples()}
    for text in TEXTS:
        assert found[text, 0] == pytest.approx(1.0)
        assert found[text, 1] == pytest.approx(3**-0.5, abs=1e-5)
    assert AlignmentScores.validate(scores).equals(scores)
    pd.testing.assert_frame_equal(read_scores(store), scores)


def test_a_second_run_computes_nothing_and_leaves_the_same_bytes(store, levels, colour_scorer):
    manifest = write_set(store, levels)
    first, _ = score_image_set(manifest, texts_of(), store, colour_scorer)
    before = (store / SCORES_FILE).read_bytes()
    colour_scorer.num_scored = 0
    second, num = score_image_set(manifest, texts_of(), store, colour_scorer)
    assert num == colour_scorer.num_scored == 0
    pd.testing.assert_frame_equal(first, second)
    assert (store / SCORES_FILE).read_bytes() == before


def test_only_an_image_with_other_bytes_is_scored_again(store, levels, colour_scorer):
    score_image_set(write_set(store, levels), texts_of(), store, colour_scorer)
    changed = write_set(store, levels | {("a red", 1): (0, 200, 0)})
    scores, num = score_image_set(changed, texts_of(), store, colour_scorer)
    assert num == 1
    row = scores[(scores["text"] == "a red") & (scores["image_index"] == 1)]
    assert row["alignment"].item() == pytest.approx(0.0)


@pytest.mark.parametrize("value", [float("nan"), 1.5])
def test_a_score_that_is_no_cosine_is_refused_and_not_kept(store, levels, colour_scorer, monkeypatch, value):
    manifest = write_set(store, levels)
    monkeypatch.setattr(colour_scorer, "score", lambda images, texts: torch.full((len(images),), value))
    with pytest.raises(DataError, match="table AlignmentScores: .*\n.*column 'alignment'"):
        score_image_set(manifest, texts_of(), store, colour_scorer)
    assert read_scores(store).empty


def test_another_text_or_another_scorer_has_scores_of_its_own(store, levels, colour_scorer):
    manifest = write_set(store, levels)
    score_image_set(manifest, texts_of(), store, colour_scorer)
    reworded = texts_of() | {caption_id_of("a red"): "A  green"}
    scores, num = score_image_set(manifest, reworded, store, colour_scorer)
    assert num == 2
    assert scores.loc[scores["text"] == "A  green", "alignment"].tolist()[0] == pytest.approx(0.0)
    colour_scorer.scorer_id = "a-" + "1" * 16
    scores, num = score_image_set(manifest, reworded, store, colour_scorer)
    assert num == 6
    assert set(scores["scorer_id"]) == {colour_scorer.scorer_id}


def test_a_score_is_the_same_alone_and_in_company(store, levels, shipped_scorer):
    manifest = write_set(store, levels)
    whole, _ = score_image_set(manifest, texts_of(), store, shipped_scorer)
    for row in whole.itertuples():
        (store / SCORES_FILE).unlink()
        one = manifest[
            (manifest["caption_id"] == row.caption_id) & (manifest["image_index"] == row.image_index)
        ]
        alone, _ = score_image_set(one, texts_of(), store, shipped_scorer)
        assert alone["alignment"].item() == row.alignment


def test_images_without_bytes_have_no_row(store, levels, colour_scorer):
    manifest = write_set(store, levels)
    manifest.loc[0, ["state", "digest"]] = ["rejected_unsafe", ""]
    manifest.loc[1, "state"] = "rejected_misaligned"
    scores, num = score_image_set(manifest, texts_of(), store, colour_scorer)
    # the second's score is still there for a milder policy
    assert num == len(scores) == 5


def test_a_killed_scoring_goes_on_from_what_was_written(store, levels, colour_scorer, monkeypatch):
    from stablerep.alignment import scores

    manifest = write_set(store, levels)
    monkeypatch.setattr(scores, "_WRITE_EVERY_S", -1.0)
    score, calls = colour_scorer.score, []

    def die(images, texts):
        if calls:
            raise KeyboardInterrupt
        calls.append(len(texts))
        return score(images, texts)

    colour_scorer.score = die
    with pytest.raises(KeyboardInterrupt):
        score_image_set(manifest, texts_of(), store, colour_scorer)
    colour_scorer.score = score
    _, num = score_image_set(manifest, texts_of(), store, colour_scorer)
    assert calls[0] > 0 and num == 6 - calls[0]


def test_scores_that_cannot_be_read_are_computed_again(store, levels, colour_scorer, caplog):
    manifest = write_set(store, levels)
    score_image_set(manifest, texts_of(), store, colour_scorer)
    (store / SCORES_FILE).write_bytes(b"no table")
    with caplog.at_level(logging.WARNING):
        _, num = score_image_set(manifest, texts_of(), store, colour_scorer)
    assert num == 6
    assert "every image is scored again" in caplog.text


def test_a_caption_without_a_text_is_named(store, levels, colour_scorer):
    texts = texts_of()
    del texts[caption_id_of("a red")]
    with pytest.raises(DataError, match=f"caption '{caption_id_of('a red')}': the caption set has no text"):
        score_image_set(write_set(store, levels), texts, store, colour_scorer)


def test_a_damaged_image_is_named_and_not_scored(store, levels, colour_scorer):
    manifest = write_set(store, levels)
    manifest.loc[2, "digest"] = "0" * 32
    with pytest.raises(DataError, match=r"has digest .*; must be 0{32}"):
        score_image_set(manifest, texts_of(), store, colour_scorer)
