"""The model card of an encoder names its data, licences, method, arm and metrics."""

from dataclasses import replace

import pytest
import yaml

from stablerep.models.card import CardFacts, model_card

DATA = {
    "name": "half",
    "source": "mixture",
    "num_images": 4200,
    "num_captions": 1024,
    "parts": {
        "drawn": {"source": "generated", "num_images": 4000},
        "photos": {"source": "corpus", "num_images": 200},
    },
    "captions": [
        {"source": "some|corpus", "licence": "CC0-1.0", "num_captions": 1000},
        {"source": "mine", "licence": "CC-BY-4.0", "num_captions": 24},
    ],
    "models": [{"model": "tiny", "model_id": "m-01", "generator_id": "g-02"}],
}
METRIC = {
    "set": "birds", "task": "class", "evaluation": "knn", "metric": "accuracy",
    "value": 0.5, "low": 0.25, "high": 0.75, "num_images": 1800,
}  # fmt: skip
CONFIG = {"_target_": "stablerep.models.encoders.TimmEncoder", "name": "test_vit", "size_px": 32}
FACTS = CardFacts("my arm", "stablerep", 3, CONFIG, DATA, {"step": 400.0, "loss": 1.25}, [METRIC])


def test_a_card_names_data_licences_method_arm_and_metrics() -> None:
    card = model_card(FACTS, "timm", "Type this.")
    for line in (
        "| arm | my arm |",
        "| method | stablerep |",
        "| seed | 3 |",
        "| architecture | test_vit |",
        "| its options | size_px=32 |",
        "| steps | 400 |",
        "| loss | 1.25 |",
        "4,200 images of 1,024 captions: image set `half`, source mixture.",
        "| drawn | generated | 4,000 |",
        "| photos | corpus | 200 |",
        "| some\\|corpus | CC0-1.0 | 1,000 |",
        "| mine | CC-BY-4.0 | 24 |",
        "| tiny | m-01 | g-02 |",
        "| birds | class | knn | accuracy | 0.5000 (0.2500 to 0.7500) | 1,800 |",
        "Type this.",
    ):
        assert line in card.splitlines(), line
    assert "unknown" not in card


@pytest.mark.parametrize("method", ["stablerep", "clip", 'a "quoted": one'])
def test_the_head_of_a_card_is_yaml(method: str) -> None:
    head = model_card(replace(FACTS, method=method), "timm", "").split("---\n")[1]
    expected = {"library_name": "timm", "pipeline_tag": "image-feature-extraction"}
    tags = ["stablerep"] if method == "stablerep" else ["stablerep", method]
    result = {
        "task": {"type": "image-classification", "name": "class, knn"},
        "dataset": {"type": "birds", "name": "birds"},
        "metrics": [{"type": "accuracy", "name": "accuracy by knn", "value": 0.5}],
    }
    index = [{"name": "my arm", "results": [result]}]
    assert yaml.safe_load(head) == expected | {"tags": tags, "model-index": index}
    bare = model_card(replace(FACTS, method=method, metrics=()), "timm", "").split("---\n")[1]
    assert yaml.safe_load(bare) == expected | {"tags": tags}


def test_a_card_says_what_is_not_known() -> None:
    card = model_card(replace(FACTS, data={}, metrics=()), "timm", "")
    assert "Not recorded: this encoder was saved by an earlier release." in card
    assert "Not evaluated yet" in card
    captions = [{"source": "photos", "licence": "unknown", "num_captions": 7}]
    card = model_card(replace(FACTS, data=DATA | {"captions": captions, "models": []}), "timm", "")
    assert "Some licences are unknown" in card
    assert "drawn by these models" not in card
