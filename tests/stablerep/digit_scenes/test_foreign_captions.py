"""Captions that are not of the corpus are noticed before scenes are drawn of them."""

import logging

import pytest

from stablerep.digit_scenes.captions_file import clean_captions
from stablerep.digit_scenes.foreign_captions import check_captions_tell_of_digits, warn_of_unknown_words
from stablerep.errors import DataError


def test_the_shipped_captions_pass_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    check_captions_tell_of_digits(clean_captions())
    assert not caplog.records


def test_a_caption_of_no_digit_is_refused_with_what_to_do() -> None:
    foreign = [f"a dog on beach {letter}" for letter in "abcde"]
    with pytest.raises(DataError) as caught:
        check_captions_tell_of_digits(["a nine", *foreign])
    message = str(caught.value)
    assert "5 of 6 captions do not describe a digit scene" in message
    assert "'a dog on beach a', 'a dog on beach b', 'a dog on beach c', ..." in message
    assert "beach d" not in message
    assert "experiment=own_captions" in message


def test_a_digit_that_is_left_open_is_of_the_corpus(caplog: pytest.LogCaptureFixture) -> None:
    texts = ["a handwritten digit", "A number.", "a digit on striped paper"]
    check_captions_tell_of_digits(texts)
    warn_of_unknown_words(texts)
    assert not caplog.records


def test_unknown_words_are_counted_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_unknown_words(["a nine", "a scarlet nine on a beach", "a scarlet two"])
    (record,) = caplog.records
    assert "2 of 3 captions" in record.getMessage()
    assert "'scarlet', 'beach'" in record.getMessage()
