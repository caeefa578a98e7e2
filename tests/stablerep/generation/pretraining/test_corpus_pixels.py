"""A generator can learn from the captioned photographs of any corpus."""

import json

import pytest
import torch

from stablerep.caption_ids import caption_id_of
from stablerep.errors import ConfigError, DataError
from stablerep.generation.pretraining.captioned_pixels import (
    CaptionedPixels,
    TakenDown,
    build_captioned_pixels,
)
from tests.stablerep.corpora.images import write_class_folders, write_png

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
    images = build_captioned_pixels(entry(folder, mirrored=False))
    assert isinstance(images, CaptionedPixels)
    assert images.fixed.pixels.shape == (2, 3, 8, 8)
    assert images.count() == 2
    assert sorted(images.texts()) == ["a cat", "a dog", "a dog on grass"]
    pixels, keys = images.sample(5, 0)
    assert torch.equal(pixels, images.fixed.pixels[keys[:, 0]].float() / 255)


def test_images_are_mirrored_where_the_corpus_says_that_they_may_be(folder):
    assert build_captioned_pixels(entry(folder)).count() == 4
    text = entry(folder)["corpus"] | {"mirrorable": False}
    assert build_captioned_pixels(entry(folder, corpus=text)).count() == 2


def test_no_image_is_read_before_it_is_needed(folder):
    images = build_captioned_pixels(entry(folder))
    (folder / "a.png").write_bytes((folder / "b.png").read_bytes())
    assert torch.equal(images.fixed.pixels[0], images.fixed.pixels[1])


def test_what_was_taken_down_is_not_learned_from(folder):
    images = build_captioned_pixels(entry(folder, mirrored=False))
    left = images.without(TakenDown(captions=frozenset({caption_id_of("a cat")})))
    assert left.count() == 1 and list(left.texts()) == ["a dog", "a dog on grass"]
    with pytest.raises(DataError, match="was taken down"):
        images.without(TakenDown(sources=frozenset({images.corpus.name})))


def test_labelled_images_are_learned_from_by_templates(tmp_path):
    write_class_folders(tmp_path)
    corpus = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(tmp_path)}
    with pytest.raises(DataError, match=r"no image with a caption in train.*corpus\.caption_templates"):
        build_captioned_pixels(entry(tmp_path, corpus=corpus))
    images = build_captioned_pixels(entry(tmp_path, corpus=corpus | {"caption_templates": ["a {class}"]}))
    assert sorted(images.texts()) == ["a cat", "a dog"]


def test_a_corpus_without_captioned_images_is_refused(folder):
    scenes = {"_target_": "stablerep.digit_scenes.corpus.DigitScenes", "path": "captions.csv"}
    with pytest.raises(DataError, match="'digit_scenes' has no images of its own"):
        build_captioned_pixels(entry(folder, corpus=scenes))


def test_arguments_of_a_corpus_that_it_does_not_take_are_refused(folder):
    wrong = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "paths": str(folder)}
    with pytest.raises(ConfigError, match=r"pretraining\.images .*paths"):
        build_captioned_pixels(entry(folder, corpus=wrong))
