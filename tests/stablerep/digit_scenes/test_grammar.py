"""Captions name what they were written of, and nothing else."""

import itertools

import numpy as np

from stablerep.digit_scenes.grammar import (
    NAMING_PROBABILITY,
    VOCABULARIES,
    SceneAttributes,
    draw_attributes,
    draw_distinct_captions,
    hide_attributes,
    read_caption,
    vocabulary,
    write_caption,
)
from stablerep.seeding import numpy_generator


def test_captions_round_trip_through_read_caption() -> None:
    rng = numpy_generator("test", 0)
    for _ in range(2000):
        attributes = draw_attributes(rng)
        assert read_caption(write_caption(attributes, rng)) == attributes


def test_every_single_attribute_value_and_every_pair_of_names_round_trips() -> None:
    rng = numpy_generator("test", 1)
    for name, words in VOCABULARIES.items():
        for index in range(len(words)):
            attributes = SceneAttributes(**{name: index})
            for _ in range(8):
                assert read_caption(write_caption(attributes, rng)) == attributes
    for first, second in itertools.combinations(VOCABULARIES, 2):
        attributes = SceneAttributes(**{first: 1, second: 2})
        assert read_caption(write_caption(attributes, rng)) == attributes


def test_no_word_is_in_two_vocabularies() -> None:
    words = [word for group in VOCABULARIES.values() for word in group]
    assert len(words) == len(set(words))


def test_what_is_read_knows_case_and_punctuation_but_not_other_words() -> None:
    read = read_caption("A Photograph of a SEVEN, in teal. Really!")
    assert read == SceneAttributes(digit=7, ink=VOCABULARIES["ink"].index("teal"))
    assert read_caption("") == SceneAttributes()
    assert read_caption("a seven and a nine") == SceneAttributes(digit=7)


def test_articles_fit_their_words() -> None:
    rng = numpy_generator("test", 2)
    for _ in range(500):
        words = write_caption(draw_attributes(rng), rng).split()
        for article, word in itertools.pairwise(words):
            if article in ("a", "an"):
                vowel = word[0] in "aeiou" and word != "one"
                assert article == ("an" if vowel else "a"), words


def test_names_come_as_often_as_configured() -> None:
    rng = numpy_generator("test", 3)
    drawn = [draw_attributes(rng).named() for _ in range(4000)]
    for name, probability in NAMING_PROBABILITY.items():
        share = np.mean([name in named for named in drawn])
        assert abs(share - probability) < 0.03  # four standard deviations


def test_hidden_attributes_are_those_of_the_scene() -> None:
    rng = numpy_generator("test", 4)
    scene = SceneAttributes(digit=3, ink=1, ground=2, texture=4)
    for _ in range(200):
        kept = hide_attributes(scene, rng).named()
        assert kept.items() <= scene.named().items()


def test_distinct_captions_are_distinct_and_a_function_of_the_seed() -> None:
    first = draw_distinct_captions(300, numpy_generator("test", 5))
    assert len(set(first)) == 300
    assert first == draw_distinct_captions(300, numpy_generator("test", 5))
    assert first != draw_distinct_captions(300, numpy_generator("test", 6))


def test_vocabulary_holds_every_written_word() -> None:
    known = set(vocabulary())
    written = draw_distinct_captions(1500, numpy_generator("test", 7))
    assert {word for caption in written for word in caption.split()} <= known
