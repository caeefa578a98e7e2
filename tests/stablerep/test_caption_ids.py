"""Caption ids are stable, and equal captions share one."""

import dataclasses

import pytest

from stablerep.caption_ids import Caption, caption_id_of


def test_id_is_frozen() -> None:
    # image sets are stored by it: another value would draw every image anew
    assert caption_id_of("a nine") == "c-c7b0eb373c887e9a"


@pytest.mark.parametrize("text", ["A Nine", "  a   nine\n", "a\tnine", "a\u00a0nine"])
def test_case_and_whitespace_do_not_count(text: str) -> None:
    assert caption_id_of(text) == caption_id_of("a nine")


@pytest.mark.parametrize("text", ["a nine.", "anine", "nine a", "", "a nine nine"])
def test_other_texts_have_other_ids(text: str) -> None:
    assert caption_id_of(text) != caption_id_of("a nine")


def test_record_derives_its_id_and_knows_no_source_by_itself() -> None:
    caption = Caption.of_text("a nine")
    assert caption.caption_id == caption_id_of("a nine")
    assert (caption.source, caption.licence, caption.line) == ("unknown", "unknown", 0)
    named = Caption.of_text("a nine", "me", "CC0-1.0", 7)
    assert (named.source, named.licence, named.line) == ("me", "CC0-1.0", 7)


def test_record_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Caption.of_text("a nine").text = "a ten"  # type: ignore[misc]
