"""Misspelt words of a list."""

import pytest

from stablerep.curation.misspelling import Misspellings

WORDS = Misspellings(["shepherds", "fishermen", "lady", "shaving", "samoyeds", "ox", "golden retriever"])


@pytest.mark.parametrize("word", ["sheperds", "shepherdss", "fishemen", "ladys", "samoyads"])
def test_one_letter_more_less_or_other_is_a_misspelling(word: str) -> None:
    assert WORDS.is_one(word)


@pytest.mark.parametrize(
    "word", ["shpherd", "fshemen", "having", "oxe", "samoyeds", "goldn", "", "epistemology"]
)
def test_two_letters_short_words_frequent_words_and_right_ones_are_none(word: str) -> None:
    assert not WORDS.is_one(word)
