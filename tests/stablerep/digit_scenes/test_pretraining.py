"""The embedded generator learns from the scenes and captions that it always learned from."""

import numpy as np
import torch

from stablerep.digit_scenes.grammar import SceneAttributes, hide_attributes, vocabulary, write_caption
from stablerep.digit_scenes.pretraining import SceneStream
from stablerep.digit_scenes.scenes import ATTRIBUTES, draw_scenes
from stablerep.generation.pretraining.captioned_pixels import CaptionedPixels, build_captioned_pixels

TARGET = {"_target_": "stablerep.digit_scenes.pretraining.SceneStream"}


def test_the_stream_is_what_a_pretraining_takes():
    assert isinstance(build_captioned_pixels(TARGET), CaptionedPixels)


def test_images_are_scenes_of_the_fit_hands_and_keys_their_attributes():
    images, keys = SceneStream().take(512, 6, seed=3)
    scenes = draw_scenes(6, "fit", 3, "pool", 512)
    assert torch.equal(images, scenes.images)
    assert keys.dtype == torch.int64
    for column, name in enumerate(ATTRIBUTES):
        assert torch.equal(keys[:, column], scenes.labels[name])


def test_captions_are_written_from_keys_in_the_order_of_the_draws():
    stream, keys = SceneStream(), [[9, 2, 1, 0], [3, 0, 7, 4], [0, 5, 5, 2]]
    rng, same = np.random.default_rng(1), np.random.default_rng(1)
    for key in keys:
        scene = SceneAttributes(*key)
        written = [write_caption(hide_attributes(scene, same), same) for _ in range(2)]
        assert stream.captions_of(key, 2, rng) == written
    assert rng.random() == same.random()


def test_the_tokenizer_is_given_every_word_that_a_caption_may_have():
    stream, rng = SceneStream(), np.random.default_rng(2)
    words = {word for _ in range(300) for word in stream.captions_of([7, 6, 3, 3], 1, rng)[0].split()}
    assert words <= set(stream.texts())
    assert stream.texts() == vocabulary()
