"""CLIP's tokens, as the authors' and OpenCLIP's code give them."""

import pytest

from stablerep.curation.clip_tokenizer import clip_tokenizer

# by open_clip.tokenizer.SimpleTokenizer 3.3.0, which is the authors' code
KNOWN = {
    "a photo of a cat": [320, 1125, 539, 320, 2368],
    "hello world!!!": [3306, 1002, 995],
    "It's 12 o'clock, naïve café — 😀": [
        585,
        568,
        272,
        273,
        334,
        262,
        6716,
        267,
        1097,
        35689,
        563,
        15304,
        2005,
        7334,
    ],
    "": [],
}


@pytest.mark.parametrize(("text", "ids"), KNOWN.items())
def test_tokens_are_those_of_the_authors_code_between_start_and_end(text: str, ids: list[int]) -> None:
    assert clip_tokenizer().encode(text).ids == [49406, *ids, 49407]


def test_the_vocabulary_has_49408_tokens() -> None:
    assert clip_tokenizer().get_vocab_size() == 49408
