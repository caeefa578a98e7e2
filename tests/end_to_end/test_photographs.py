"""Photographs without captions: a generator is trained on them, then compared with them."""

import json

import pandas as pd
import pytest

from tests.end_to_end.test_own_images import class_folders

pytestmark = pytest.mark.slow
TINY = (
    "pretraining.unet.channels=[8,16],pretraining.unet.attention=[false,true],pretraining.unet.layers_per_block=1,"
    "pretraining.denoiser.num_images=64,pretraining.denoiser.batch_size=16,pretraining.denoiser.precision=float32,"
    "generator.num_inference_steps=2"
)
ARMS = ("simclr_synthetic", "stablerep_real", "stablerep_half", "clip_synthetic")
OTHERS = ("simclr_real", "simclr_half", "stablerep_synthetic", "clip_real", "clip_half") + tuple(
    f"stablerep_plus_{images}" for images in ("real", "synthetic", "half")
)


def test_labelled_photographs_train_a_generator_and_are_compared_with_its_images(checkout, run, tmp_path):
    corpus = f"corpus=image_folder,{class_folders(tmp_path / 'own')}"
    gate = "validation.images={},validation.images_of_captions={}"  # a generator of four steps draws noise
    fewer = ",".join(f"arms.{name}=null" for name in OTHERS)
    params = f"experiment=photographs,size=smoke,seeds=[0],{corpus},{TINY},{gate},{fewer}"
    finished = run("kedro", "run", "--params", params)
    assert finished.returncode == 1
    assert "kedro run --pipelines pretraining" in finished.stdout + finished.stderr
    assert not (checkout / "data/03_primary/caption_set.parquet").exists()
    embedded = (checkout / "data/06_models/generator/model_index.json").read_bytes()

    trained = run("kedro", "run", "--pipelines", "pretraining", "--params", params)
    assert trained.returncode == 0, trained.stderr[-4000:]
    assert (checkout / "data/06_models/photographs_generator/README.md").is_file()
    assert (checkout / "data/06_models/generator/model_index.json").read_bytes() == embedded

    finished = run("kedro", "run", "--params", params)
    assert finished.returncode == 0, finished.stderr[-4000:]
    sizes = {
        name: json.loads((checkout / f"data/05_model_input/{name}/finished/image_set.json").read_text())
        for name in ("real", "synthetic", "half")
    }
    assert len({each["facts"]["num_images"] for each in sizes.values()}) == 1, "at an equal number of images"
    metrics = pd.read_parquet(checkout / "data/07_model_output/metrics.parquet")
    assert set(metrics["arm"]) == {*ARMS, "untrained", "raw_pixels"}
