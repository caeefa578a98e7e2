"""Captions that are true of a scene, and captions that are not."""

import numpy as np
import pytest

from stablerep.digit_scenes.captioned_scenes import change_attribute, draw_captioned_scenes
from stablerep.digit_scenes.grammar import read_caption
from stablerep.digit_scenes.scenes import ATTRIBUTES


def test_captions_are_true_of_their_scenes_and_false_ones_differ_in_one_attribute():
    scenes = draw_captioned_scenes(64, "fit", 0)
    assert scenes.images.shape == (64, 3, 32, 32)
    for row, (text, false_texts) in enumerate(zip(scenes.texts, scenes.false_texts, strict=True)):
        named = read_caption(text).named()
        assert named == {name: int(scenes.labels[name][row]) for name in named}
        assert len(false_texts) == len(ATTRIBUTES)
        for attribute, false in zip(ATTRIBUTES, false_texts, strict=True):
            if attribute not in named:
                assert false == text
                continue
            other = read_caption(false).named()
            assert {name for name in other if other[name] != named[name]} == {attribute}
            assert len(false.split()) == len(text.split())


def test_scenes_are_a_function_of_the_seed():
    first, again = (draw_captioned_scenes(8, "fit", 1) for _ in range(2))
    assert first.texts == again.texts and first.images.equal(again.images)
    assert draw_captioned_scenes(8, "fit", 2).texts != first.texts


def test_the_naming_probability_says_how_much_captions_name():
    whole = draw_captioned_scenes(32, "fit", 0, naming_probability=1.0)
    assert all(len(read_caption(text).named()) == 4 for text in whole.texts)
    named = [
        len(read_caption(text).named())
        for text in draw_captioned_scenes(512, "fit", 0, naming_probability=0.5).texts
    ]
    assert 1.8 < np.mean(named) < 2.2


def test_a_caption_that_does_not_name_the_attribute_cannot_be_changed():
    with pytest.raises(ValueError, match="'a nine': names no ink"):
        change_attribute("a nine", "ink", np.random.default_rng(0))
