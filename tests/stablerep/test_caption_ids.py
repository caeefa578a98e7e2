"""Caption ids are stable, and equal captions share one."""

import pytest

from stablerep.caption_ids import caption_id_of, is_caption_id


def test_id_is_frozen() -> None:
    # image sets are stored by it: another value would draw every image again
    assert caption_id_of("a nine") == "c-c7b0eb373c887e9a"


@pytest.mark.parametrize("text", ["A Nine", "  a   nine\n", "a\tnine", "a\u00a0nine"])
def test_case_and_whitespace_do_not_count(text: str) -> None:
    assert caption_id_of(text) == caption_id_of("a nine")


@pytest.mark.parametrize("text", ["a nine.", "anine", "nine a", "", "a nine nine"])
def test_other_texts_have_other_ids(text: str) -> None:
    assert caption_id_of(text) != caption_id_of("a nine")


@pytest.mark.parametrize("text", ["c-c7b0eb373c887e9a", caption_id_of("")])
def test_an_id_is_recognised(text: str) -> None:
    assert is_caption_id(text)


@pytest.mark.parametrize(
    "text", ["", "a nine", "c-C7B0EB373C887E9A", "c-c7b0eb373c887e9", "xc-c7b0eb373c887e9a"]
)
def test_a_text_is_no_id(text: str) -> None:
    assert not is_caption_id(text)
