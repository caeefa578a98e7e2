"""experiment=paper, built of miniatures of its own components: images drawn, encoders trained on them."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from pipelines.config.loader import compose
from pipelines.image_sets.generated import generate_images
from pipelines.training.nodes import open_images, train_arm
from stablerep.caption_ids import caption_id_of
from stablerep.curation.people.takedowns import COLUMNS
from stablerep.image_sets.generated_set import from_manifest
from stablerep.models.encoders import build_encoder

PARAMS = Path(__file__).parents[3] / "conf" / "params"
TEXTS = ("a red bus by the sea", "two dogs on a lawn", "a bowl of soup", "a city at night")


def no_takedowns():
    return pd.DataFrame(columns=list(COLUMNS), dtype="str")


@pytest.fixture(scope="module")
def paper():
    paths = {"corpus.path": "captions.csv", "evaluation_sets.imagenet.path": "imagenet"}
    return compose(PARAMS, {"experiment": "paper", **paths})


def test_the_encoder_is_a_vit_b_16(paper):
    with torch.device("meta"):
        encoder = build_encoder(paper["encoder"]["backbone"])
        assert encoder(torch.empty(2, 3, 224, 224)).shape == (2, encoder.num_features) == (2, 768)
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(85.8e6, rel=0.001)


def test_miniatures_of_its_components_go_from_captions_to_encoders(paper, tiny_stable_diffusion, tmp_path):
    generator = paper["generator"] | {
        "model_folder": str(tiny_stable_diffusion),
        "size_px": 16,
        "saved_size_px": 8,
        "num_inference_steps": 2,
        "dtype": "float32",  # half precision is slow on a CPU
    }
    encoder = paper["encoder"] | {
        "backbone": {
            "_target_": "stablerep.models.encoders.TimmEncoder",
            "name": "vit_base_patch16_224",
            "size_px": 32,
            "embed_dim": 24,
            "depth": 1,
            "num_heads": 2,
        },
        "head": {"hidden_dim": 16, "out_dim": 8},
        "text": {
            **paper["encoder"]["text"],
            **{"width": 16, "num_layers": 1, "num_heads": 2, "out_dim": 8},
            "tokenizer_folder": str(tiny_stable_diffusion / "tokenizer"),
        },
    }
    training = paper["training"] | {"num_images": 48, "log_every": 1}
    training |= {"batch": paper["training"]["batch"] | {"captions": 4}}
    # One process has one precision, and it does everything here: others take seconds to start, and processes
    # that draw and decode have tests of their own (executors/test_local.py, training/test_reading.py).
    training |= {"num_workers": 0, "mixed_precision": "no"}
    executor = paper["executor"] | {"num_cpu_processes": 1}
    arms = {name: arm for name, arm in paper["arms"].items() if arm["method"].startswith("stablerep")}
    captions = pd.DataFrame({"caption_id": [caption_id_of(text) for text in TEXTS], "text": TEXTS})
    captions = captions.assign(source="test", licence="CC0-1.0")
    none, store = tmp_path / "no_generator", tmp_path / "images"
    given = (captions, no_takedowns(), none, store, paper["image_sets"]["synthetic"], generator, executor)
    manifest, ledger = generate_images("synthetic", *given, [0], paper["alignment"], None)
    assert ledger["num_made_images"] == len(TEXTS) * 10
    image_set = from_manifest("images", manifest, captions, store)
    assert set(arms) == {"stablerep", "stablerep_plus"}
    for name, arm in arms.items():
        images = open_images(name, image_set, paper["corpus"], encoder, arm, training)
        method = paper["method"][arm["method"]]
        trained = train_arm(name, 0, images, tmp_path / "work", arm, method, encoder, training)
        assert trained.history["images"].iloc[-1] == 48
        assert trained.history["loss"].map(math.isfinite).all()
