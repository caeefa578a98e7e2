"""experiment=paper, built of miniatures of its own components: images drawn, encoders trained on them."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from accelerate.state import AcceleratorState

from pipelines.config.loader import compose
from pipelines.curation.nodes import curate_captions
from pipelines.image_sets.generated import generate_images
from pipelines.training.nodes import open_images, train_arm
from stablerep.caption_ids import caption_id_of
from stablerep.curation.people.edits import Edits
from stablerep.curation.people.takedowns import COLUMNS
from stablerep.image_sets.generated_set import from_manifest
from stablerep.models.encoders import TimmEncoder, build_encoder
from stablerep.models.heads import ProjectionHead

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


@pytest.fixture
def new_precision():
    """Has accelerate forget its precision, before and after: it knows one per process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def record(monkeypatch):
    """Records the heads that are trained, and how many views are encoded at once."""
    heads, pieces = [], []
    project, encode = ProjectionHead.forward, TimmEncoder.forward

    def recorded_head(self, features, *given):
        heads.append((self, torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None))
        return project(self, features, *given)

    def recorded_encode(self, images):
        pieces.append(len(images))
        return encode(self, images)

    monkeypatch.setattr(ProjectionHead, "forward", recorded_head)
    monkeypatch.setattr(TimmEncoder, "forward", recorded_encode)
    return heads, pieces


def test_its_captions_go_from_raw_text_to_encoders(
    paper, tiny_stable_diffusion, tmp_path, monkeypatch, new_precision
):
    """With its own curation, head, loss, views, schedule, precision and number of pieces.

    The generator and the encoder are miniatures, and a step has 4 captions instead of 1,376.
    """
    captions = pd.DataFrame({"caption_id": [caption_id_of(text) for text in TEXTS], "text": TEXTS})
    captions = captions.assign(source="test", licence="CC0-1.0")
    generator = paper["generator"] | {
        "model_folder": str(tiny_stable_diffusion),
        "size_px": 16,
        "saved_size_px": 8,
        "num_inference_steps": 2,
        "dtype": "float32",  # half precision is slow on a CPU, and compiling takes a minute
        "compile": False,
    }
    encoder = paper["encoder"] | {
        "backbone": paper["encoder"]["backbone"]
        | {"size_px": 32, "embed_dim": 24, "depth": 1, "num_heads": 2},
        "text": {
            **paper["encoder"]["text"],
            **{"width": 16, "num_layers": 1, "num_heads": 2, "out_dim": 8},
            "tokenizer_folder": str(tiny_stable_diffusion / "tokenizer"),
        },
    }
    batch = paper["training"]["batch"]
    # a piece is a 32nd of the 8,256 views; here a quarter of 24
    small = batch | {"captions": 4, "chunk": 8 * batch["chunk"] * 4 // batch["captions"]}
    # processes that draw and decode take seconds to start, and have tests of their own
    # (executors/test_local.py, training/test_reading.py)
    training = paper["training"] | {"batch": small, "log_every": 1, "num_workers": 0}
    training |= {"speed": paper["training"]["speed"] | {"compile": False}}
    executor = paper["executor"] | {"num_cpu_processes": 1}
    arms = {name: arm for name, arm in paper["arms"].items() if arm["method"].startswith("stablerep")}
    assert set(arms) == {"stablerep", "stablerep_plus"}
    none, store = tmp_path / "no_generator", tmp_path / "images"
    given = (captions, no_takedowns(), none, store, paper["image_sets"]["synthetic"], generator, executor)
    manifest, ledger = generate_images("synthetic", *given, [0], paper["alignment"], None)
    assert ledger["num_made_images"] == len(TEXTS) * 10
    image_set = from_manifest("images", manifest, captions, store)
    heads, pieces = record(monkeypatch)
    for name, arm in arms.items():
        images = open_images(name, image_set, paper["corpus"], encoder, arm, training)
        method = paper["method"][arm["method"]]
        trained = train_arm(name, 0, images, tmp_path / "work", arm, method, encoder, training)
        # 15 epochs of one step of 4 captions x 6 images, half a step of which warms up
        assert trained.history["images"].tolist() == [24 * (step + 1) for step in range(15)]
        rates = trained.history["learning_rate"] / paper["training"]["learning_rate"]
        expected = [1.0] + [0.5 * (1 + math.cos(math.pi * (step - 0.5) / 14.5)) for step in range(1, 15)]
        assert rates.tolist() == pytest.approx(expected)
        assert trained.history["loss"].map(math.isfinite).all()
        assert len(set(trained.history["loss"])) == 15
    # four pieces of six views, twice in each of 15 steps of two arms
    assert pieces == [6] * 4 * 2 * 15 * 2
    assert {precision for _, precision in heads} == {torch.bfloat16}
    (head, *_), *_ = heads
    linear = [each for each in head.layers if isinstance(each, torch.nn.Linear)]
    assert [each.out_features for each in linear] == [4096, 4096, 256]
    assert head.layers[-1] is linear[-1]
    assert all(each.bias is not None for each in linear)
    norms = [each for each in head.layers if isinstance(each, torch.nn.BatchNorm1d)]
    # the six views of a step are normalised separately, so each step updates the statistics six times
    assert [int(each.num_batches_tracked) for each in norms] == [15 * 6, 15 * 6]


def curated(paper, path, folder):
    """Returns the texts that the experiment's curation keeps of a file, and the reasons of the others."""
    (folder / "work").mkdir()
    corpus = paper["corpus"] | {"path": str(path)}
    edits = Edits([], folder / "caption_edits.csv")
    given = (corpus, no_takedowns(), edits, folder / "no_generator", folder / "work", paper["curation"])
    kept, rejected, _, _ = curate_captions(*given)
    return kept.collect()["text"].to_list(), set(rejected.collect()["reason"])


def test_its_captions_are_all_but_the_empty_and_the_repeated_ones(paper, tmp_path):
    raw = [
        "see https://example.org",
        "See  https://example.org",  # equal but for case and spaces
        " ",
        "Foto einer Strasse in Hamburg",
        "x",
        "<PERSON> &amp; dog",
        " ".join(["long"] * 90),
        "call 030 123456",
    ]
    path = tmp_path / "captions.csv"
    pd.DataFrame({"caption": raw}).to_csv(path, index=False)
    kept, rejected = curated(paper, path, tmp_path)
    assert kept == [text for number, text in enumerate(raw) if number not in (1, 2)]
    assert rejected == {"exact_duplicate", "empty_text"}
