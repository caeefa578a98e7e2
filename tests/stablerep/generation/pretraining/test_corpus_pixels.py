"""A generator can learn from the captioned photographs of any corpus."""

import json

import pytest
import torch

from stablerep.errors import ConfigError, DataError
from stablerep.generation.pretraining.captioned_pixels import CaptionedPixels, build_captioned_pixels
from tests.stablerep.corpora.images import write_png

CAPTIONS = {"a": ["a dog", "a dog on grass"], "b": ["a cat"], "c": [], "d": ["a fish"], "e": ["a bird"]}
SPLITS = {"a": "train", "b": "train", "c": "train", "d": "validation", "e": "test"}


@pytest.fixture
def folder(tmp_path):
    rows = []
    for number, (name, texts) in enumerate(CAPTIONS.items()):
        write_png(tmp_path / f"{name}.png", number)
        rows.append({"file_name": f"{name}.png", "text": texts, "split": SPLITS[name]})
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def entry(folder, **changes):
    corpus = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(folder)}
    target = "stablerep.generation.pretraining.corpus_pixels.CorpusPixels"
    return {"_target_": target, "corpus": corpus, "size_px": 8} | changes


def test_captioned_images_in_train_are_taken_and_resized(folder):
    images = build_captioned_pixels(entry(folder))
    assert isinstance(images, CaptionedPixels)
    assert images.pixels.shape == (2, 3, 8, 8)
    assert sorted(images.texts()) == ["a cat", "a dog", "a dog on grass"]
    pixels, keys = images.sample(5, 0)
    assert torch.equal(pixels, images.pixels[keys[:, 0]].float() / 255)


def test_a_corpus_without_captioned_images_is_refused(folder):
    scenes = {"_target_": "stablerep.digit_scenes.corpus.DigitScenes", "path": "captions.csv"}
    with pytest.raises(DataError, match="'digit_scenes' has no image with a caption in train"):
        build_captioned_pixels(entry(folder, corpus=scenes))


def test_arguments_of_a_corpus_that_it_does_not_take_are_refused(folder):
    wrong = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "paths": str(folder)}
    with pytest.raises(ConfigError, match=r"pretraining\.images .*paths"):
        build_captioned_pixels(entry(folder, corpus=wrong))
