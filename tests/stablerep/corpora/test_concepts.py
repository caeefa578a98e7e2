"""Captions from class names and templates: all different, equal in number, with labels that are known."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stablerep.corpora.concepts import Concepts
from stablerep.curation.reading.engine import SCHEMA
from stablerep.curation.settings import Reading
from stablerep.errors import ConfigError, DataError

SETTINGS: dict[str, Any] = {
    "classes": ["cat", "hot dog", "dog"],
    "templates": ["a photo of a {class}", "a {class} in {place}", "{style} of a {class} in {place}"],
    "places": ["a hot desert", "the snow"],
    "styles": ["a drawing", "a picture by a dog lover"],
    "num_captions": 21,
}


def texts_of(corpus: Concepts, batch_size: int = 4) -> list[str]:
    batches = list(corpus.caption_batches(Reading(source="me"), batch_size))
    assert all(batch.schema == SCHEMA and len(batch) <= batch_size for batch in batches)
    frame = pl.concat(batches)
    assert frame["row"].to_list() == list(range(len(frame))) and set(frame["source"]) == {"me"}
    return frame["caption"].to_list()


def test_captions_are_different_and_equal_in_number_for_each_class() -> None:
    corpus = Concepts(**SETTINGS)
    texts = texts_of(corpus)
    assert len(set(texts)) == 21
    labels = corpus.labels_of(texts)["class"]
    assert Counter(labels) == {0: 7, 1: 7, 2: 7}
    # all seven ways to write a class: 1 + 2 + 4
    assert {text for text, label in zip(texts, labels, strict=True) if label == 0} == {
        "a photo of a cat",
        *(f"a cat in {place}" for place in SETTINGS["places"]),
        *(f"{style} of a cat in {place}" for style in SETTINGS["styles"] for place in SETTINGS["places"]),
    }
    assert corpus.tasks()["class"].classes == ("cat", "hot dog", "dog")
    assert corpus.count_captions(Reading(), 100) == 21 and corpus.count_captions(Reading(), 5) == 5


def test_the_seed_decides_and_nothing_else() -> None:
    few = {**SETTINGS, "num_captions": 9}
    assert texts_of(Concepts(**few)) == texts_of(Concepts(**few), batch_size=2)
    assert texts_of(Concepts(**few)) != texts_of(Concepts(**few, seed=1))


def test_labels_are_those_of_the_writer_even_where_other_classes_are_named() -> None:
    corpus = Concepts(**SETTINGS)
    texts = ["A picture, by a dog lover, of a cat in the snow.", "a big dog", "a cat and a dog", "a cow"]
    assert corpus.labels_of(texts) == {"class": [0, 2, None, None]}


def test_classes_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\n\n dog \n")
    corpus = Concepts(str(tmp_path / "classes.txt"), num_captions=2)
    assert texts_of(corpus) == ["a photo of a cat", "a photo of a dog"]
    assert corpus.inputs() == [str(tmp_path / "classes.txt")]
    with pytest.raises(DataError, match="text file with a class per line"):
        Concepts(str(tmp_path / "none.txt")).check()


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"templates": ["a photo"]}, r"each must hold {class}"),
        ({"templates": ["a {thing}"]}, "no other fields"),
        ({"templates": ["a {class"]}, "no other fields"),
        ({"styles": []}, r"corpus\.styles has 0 entries"),
        ({"templates": ["a {class}"]}, r"corpus\.places has 2 entries"),
        ({"num_captions": 0}, r"corpus\.num_captions"),
        ({"temperature": -1.0}, r"corpus\.temperature"),
        ({"num_captions": 22}, "give at most 21"),
        ({"classes": ["cat"]}, "at least two"),
        ({"classes": ["cat", "Cat"]}, "read alike"),
    ],
)
def test_settings_with_faults_are_refused(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        Concepts(**{**SETTINGS, **settings}).check()


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2 of one layer over single words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    words = ["<end>", "a", "photo", "of", "cat", "hot", "dog", "in", "snow", "the", "red", "blue", "green"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, "<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("language_model")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<end>", eos_token="<end>", bos_token="<end>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(words), n_positions=64, n_embd=16, n_layer=1, n_head=2, eos_token_id=0, bos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_language_model_continues_the_captions(language_model: Path, temperature: float) -> None:
    settings = {
        "classes": ["cat", "hot dog", "dog"],
        "templates": ["a photo of a {class}", "a {class}"],
        "num_captions": 6,
        "max_new_tokens": 5,
        "temperature": temperature,
    }
    starts = texts_of(Concepts(**settings))
    corpus = Concepts(**settings, language_model=str(language_model))
    corpus.check()
    texts = texts_of(corpus)
    assert texts == texts_of(corpus)
    assert all(text.startswith(start) for text, start in zip(texts, starts, strict=True))
    assert any(len(text) > len(start) for text, start in zip(texts, starts, strict=True))
    # the model may name other classes: the label is that of the start
    labels = corpus.labels_of(texts)["class"]
    assert labels == [0, 1, 2] * 2
    other = texts_of(Concepts(**settings, language_model=str(language_model), seed=0))
    assert texts == other


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    settings = {"classes": ["cat", "dog"], "num_captions": 2, "language_model": str(tmp_path)}
    with pytest.raises(DataError, match=r"has no config\.json"):
        Concepts(**settings).check()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match="no causal language model"):
        next(Concepts(**settings).caption_batches(Reading()))
