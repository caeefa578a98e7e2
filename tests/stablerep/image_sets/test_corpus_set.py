"""The set of a corpus's own images."""

from pathlib import Path

import pytest

from stablerep.caption_ids import caption_id_of
from stablerep.errors import DataError
from stablerep.image_sets.corpus_set import from_corpus
from tests.stablerep.image_sets.sets import amounts, corpus_table, no_takedowns


def test_images_of_the_train_split_are_taken_with_their_captions(tmp_path: Path) -> None:
    made = from_corpus("real", corpus_table(), tmp_path, no_takedowns(), amounts(), 0, "colours")
    assert sorted(made.images["image_id"]) == [f"image-{row}.png" for row in range(5)]
    assert set(made.captions["text"]) == {"a red dog", "a blue cat", "a green dog"}
    assert made.has_captions
    assert made.tasks == ["animal"]
    assert made.images["caption_id"].value_counts().max() == 2


def test_an_image_without_a_caption_is_a_caption_of_its_own(tmp_path: Path) -> None:
    table = corpus_table(captions=False)
    made = from_corpus("real", table, tmp_path, no_takedowns(), amounts(), 0, "colours")
    assert made.images["caption_id"].is_unique
    assert not made.has_captions


def test_one_of_several_captions_is_chosen_and_stays(tmp_path: Path) -> None:
    table = corpus_table()
    table["captions"] = [["one", "two", " "]] * len(table)
    first = from_corpus("real", table, tmp_path, no_takedowns(), amounts(), 0, "colours")
    again = from_corpus("real", table, tmp_path, no_takedowns(), amounts(), 1, "colours")
    chosen = [made.images.set_index("image_id")["caption_id"].sort_index() for made in (first, again)]
    assert chosen[0].equals(chosen[1])
    assert set(first.captions["text"]) <= {"one", "two"}


def test_a_caption_and_a_source_that_were_taken_down_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    takedowns = no_takedowns()
    takedowns.loc[0] = [caption_id_of("a red dog"), "caption", "asked", "2026-01-01", "me"]
    made = from_corpus("real", corpus_table(), tmp_path, takedowns, amounts(), 0, "colours")
    assert "a red dog" not in set(made.captions["text"])
    assert made.facts["num_taken_down"] == 2
    takedowns.loc[1] = ["colors", "source", "asked", "2026-01-01", "me"]
    with caplog.at_level("WARNING", "stablerep"):
        from_corpus("real", corpus_table(), tmp_path, takedowns, amounts(), 0, "colours")
    assert "takedown of source 'colors': no caption" in caplog.text
    takedowns.loc[2] = ["colours", "source", "asked", "2026-01-01", "me"]
    with pytest.raises(DataError, match="'real': has no image"):
        from_corpus("real", corpus_table(), tmp_path, takedowns, amounts(), 0, "colours")
