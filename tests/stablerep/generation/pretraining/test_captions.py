"""Captions of a pool as token ids: each image its own, each as likely as the others, some left out."""

import torch

from stablerep.generation.pretraining.captioned_pixels import FixedPixels
from stablerep.generation.pretraining.captions import tabulate_captions
from stablerep.models.text import tokenize
from stablerep.models.tokenizer import build_tokenizer

CAPTIONS = [["a cat"], ["a dog", "the dog", "one dog"], ["a cat", "the cat"]]
CPU = torch.device("cpu")


def table_of(captions=CAPTIONS):
    images = FixedPixels(torch.zeros(len(captions), 3, 8, 8, dtype=torch.uint8), captions)
    tokenizer = build_tokenizer(images.texts(), max_tokens=6)
    keys = torch.arange(len(captions))[:, None]
    return tabulate_captions(images, keys, tokenizer, 8, 0, CPU), tokenizer


def texts(tokenizer, token_ids):
    return [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in token_ids.tolist()]


def test_a_caption_of_several_images_is_tokenised_once():
    table, tokenizer = table_of()
    assert texts(tokenizer, table.token_ids) == ["", "a cat", "a dog", "the dog", "one dog", "the cat"]
    assert torch.equal(table.token_ids[:2], tokenize(tokenizer, ["", "a cat"]))


def test_each_caption_of_an_image_is_as_likely_as_its_others():
    table, tokenizer = table_of()
    places = torch.tensor([0, 1, 2]).repeat(3000)
    drawn = texts(tokenizer, table.draw(places, 0.0, torch.Generator().manual_seed(0)))
    for place, captions in enumerate(CAPTIONS):
        own = drawn[place::3]
        assert set(own) == set(captions)
        for text in captions:
            assert abs(own.count(text) / len(own) - 1 / len(captions)) < 0.04


def test_the_share_of_empty_captions_is_the_dropout():
    table, tokenizer = table_of()
    places = torch.zeros(4000, dtype=torch.int64)
    drawn = texts(tokenizer, table.draw(places, 0.25, torch.Generator().manual_seed(1)))
    assert set(drawn) == {"", "a cat"}
    assert abs(drawn.count("") / len(drawn) - 0.25) < 0.03
