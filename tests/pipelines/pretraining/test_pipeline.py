"""From class folders to a generator that draws what it learned, through the nodes and the catalog."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.loader import compose
from pipelines.pretraining.pipeline import create_pipeline
from stablerep.caption_ids import caption_id_of
from tests.pipelines.small_projects import catalog_of, run, take_down
from tests.stablerep.corpora.images import write_class_folders

PROJECT = Path(__file__).parents[3]
SIZES = {
    "pretraining.images.size_px": 16,
    "generator.size_px": 16,
    "generator.num_inference_steps": 2,
    "pretraining.unet.channels": [8, 16],
    "pretraining.unet.attention": [False, True],
    "pretraining.unet.layers_per_block": 1,
    "pretraining.latents.channels": [8, 16],
    "pretraining.text.width": 16,
    **{f"pretraining.{stage}.num_images": 16 for stage in ("autoencoder", "denoiser")},
    **{f"pretraining.{stage}.batch_size": 8 for stage in ("autoencoder", "denoiser")},
    "pretraining.denoiser.precision": "float32",
    "pretraining.autoencoder.precision": "float32",
}


def parameters_of(photos: Path, recipe: str) -> dict[str, Any]:
    given = {
        "experiment": "photographs",
        "corpus": "image_folder",
        "pretraining": recipe,
        "corpus.path": str(photos),
        "corpus.caption_templates": ["a photo of a {class}", "the {class}"],
        **SIZES,
    }
    return compose(PROJECT / "conf/params", given)


@pytest.mark.parametrize(
    "recipe", ["photographs_gpu", pytest.param("photographs_cpu", marks=pytest.mark.slow)]
)
def test_class_folders_make_a_generator_of_what_was_not_taken_down(recipe: str, tmp_path: Path) -> None:
    parameters = parameters_of(write_class_folders(tmp_path / "photos"), recipe)
    catalog = catalog_of(tmp_path)
    take_down(tmp_path, caption_id_of("the dog"))
    run(create_pipeline(parameters), catalog, parameters)
    folder = tmp_path / "data/06_models/photographs_generator"
    assert (folder / "model_index.json").is_file()
    assert not (tmp_path / "data/06_models/generator").exists(), "the embedded one is left alone"
    figures = json.loads((folder / "figures.json").read_text())
    assert sorted(figures["captions"]) == ["a photo of a cat", "a photo of a dog", "the cat"]
    assert all(each["spread"] > 0 for each in figures["scales"].values())
    card = (folder / "README.md").read_text()
    assert f"{figures['num_images']:,} captioned images of the train split of corpus `images`" in card
    assert f"in {parameters['pretraining']['space']} space" in card
    assert (folder / "samples.png").is_file()
    work = tmp_path / "data/02_intermediate/pretraining/photographs_generator"
    order = json.loads((work / "recipe.json").read_text())
    assert order["taken_down"] == {"captions": [caption_id_of("the dog")], "sources": []}
    assert figures["num_images"] < len(list((tmp_path / "photos").rglob("*.png")))
