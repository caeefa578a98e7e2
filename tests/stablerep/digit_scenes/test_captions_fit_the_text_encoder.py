"""The embedded text encoder hears 16 tokens: no caption of the grammar may be cut."""

from stablerep.digit_scenes.captions_file import clean_captions
from stablerep.digit_scenes.grammar import MAX_TOKENS, draw_distinct_captions, vocabulary
from stablerep.models.tokenizer import build_tokenizer
from stablerep.seeding import numpy_generator


def _num_tokens(texts: list[str]) -> list[int]:
    tokenizer = build_tokenizer(vocabulary(), MAX_TOKENS)
    return [len(ids) for ids in tokenizer(texts, truncation=False)["input_ids"]]


def test_captions_fit_the_tokens_of_the_text_encoder() -> None:
    texts = draw_distinct_captions(1500, numpy_generator("test", "tokens"))
    # the longest that the grammar can write
    texts.append("a picture of a handwritten seven in magenta ink on a checkered lavender background")
    texts.extend(clean_captions())
    num_tokens = _num_tokens(texts)
    assert max(num_tokens) == MAX_TOKENS


def test_every_word_of_the_grammar_is_one_token() -> None:
    texts = draw_distinct_captions(300, numpy_generator("test", "words"))
    # start and end besides
    assert _num_tokens(texts) == [len(text.split()) + 2 for text in texts]
