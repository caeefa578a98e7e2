"""Where the images of a set come from: its parts, the licences of captions, what drew the images."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd

from stablerep.caption_ids import caption_id_of
from stablerep.image_sets.corpus_set import from_corpus
from stablerep.image_sets.generated_set import from_manifest
from stablerep.image_sets.mixture import mix
from stablerep.image_sets.opening import open_image_set
from stablerep.image_sets.origin import origin_of
from tests.stablerep.image_sets.sets import TEXTS, Colours, amounts, corpus_table, no_takedowns, rendered

GENERATOR = {"generator_id": "g-0123456789abcdef", "model": "tiny", "files": {"unet/x.safetensors": "0"}}


def captions(licences: list[str]) -> pd.DataFrame:
    ids = [caption_id_of(text) for text in TEXTS]
    return pd.DataFrame({"caption_id": ids, "text": TEXTS, "source": "mine", "licence": licences})


def test_an_origin_names_the_model_and_counts_captions_by_licence(tmp_path: Path) -> None:
    table = captions(["CC0-1.0", "MIT", "CC0-1.0"])
    manifest = pd.DataFrame(
        {"caption_id": table["caption_id"], "image_index": 0, "state": "intact", "digest": "x"}
    ).assign(generator_id=GENERATOR["generator_id"])
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn/generator.json").write_text(json.dumps(GENERATOR))
    origin = origin_of(from_manifest("drawn", manifest, table, tmp_path / "drawn"))
    assert (origin["name"], origin["source"]) == ("drawn", "generated")
    assert (origin["num_images"], origin["num_captions"]) == (3, 3)
    assert origin["captions"] == [
        {"source": "mine", "licence": "CC0-1.0", "num_captions": 2},
        {"source": "mine", "licence": "MIT", "num_captions": 1},
    ]
    [model] = origin["models"]
    assert model["model"] == "tiny" and model["generator_id"] == GENERATOR["generator_id"]
    assert model["model_id"].startswith("m-")
    assert json.loads(json.dumps(origin)) == origin


def test_captions_without_an_image_that_is_trained_on_are_not_counted(tmp_path: Path) -> None:
    made = rendered(tmp_path)
    part = replace(made, images=made.images.iloc[:2].reset_index(drop=True))
    origin = origin_of(part)
    assert (origin["num_images"], origin["num_captions"]) == (2, 1)
    assert origin["models"] == []


def test_the_parts_of_a_mixture_are_counted(tmp_path: Path) -> None:
    real = from_corpus("real", corpus_table(), tmp_path / "real", no_takedowns(), amounts(), 0, "colours")
    parts = {"real": real, "rendered": rendered(tmp_path)}
    origin = origin_of(mix("half", parts, {"real": 0.5, "rendered": 0.5}, tmp_path / "half", amounts(), 0))
    numbers = {name: part["num_images"] for name, part in origin["parts"].items()}
    assert set(numbers) == {"real", "rendered"} and sum(numbers.values()) == origin["num_images"]
    assert origin["parts"]["real"]["source"] == "corpus"


def test_many_sources_are_counted_beyond_the_first(tmp_path: Path) -> None:
    made = rendered(tmp_path)
    ids = [f"c-{number:02}" for number in range(25)]
    table = pd.DataFrame({"caption_id": ids, "text": ids, "source": ids, "licence": ["a"] * 24 + ["b"]})
    images = pd.DataFrame({"image_id": ids, "caption_id": ids, "part": "rendered", "digest": "x"})
    found = origin_of(replace(made, images=images, captions=table))["captions"]
    assert len(found) == 21
    assert found[-1] == {"source": "5 others", "licence": "a, b", "num_captions": 5}


def test_an_opened_set_carries_its_origin(tmp_path: Path) -> None:
    made = rendered(tmp_path)
    assert open_image_set(made, Colours(), 4, 1.0).origin == origin_of(made)
