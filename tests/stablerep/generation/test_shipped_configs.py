"""Every generator config draws, on a miniature of its model."""

from pathlib import Path

import pytest
import torch

from pipelines.config.generator import named_folder
from pipelines.config.loader import compose
from stablerep.generation.diffusion.generator import DiffusersGenerator, ImageRequest
from stablerep.generation.diffusion.settings import GeneratorSettings

PROJECT = Path(__file__).parents[3]
PARAMS = PROJECT / "conf" / "params"
MINIATURES = {
    "embedded": "tiny_generator",
    "photographs": "tiny_generator",
    "stable_diffusion_1_5": "tiny_stable_diffusion",
    "sdxl_turbo": "tiny_sdxl",
    "lcm_dreamshaper_v7": "tiny_lcm",
}
TRAINED_HERE = {"embedded", "photographs"}


@pytest.mark.parametrize("name", MINIATURES)
def test_a_config_whose_model_is_not_shipped_tells_its_licence_and_where_to_get_it(name):
    text = (PARAMS / "generator" / f"{name}.yaml").read_text()
    repository = section_of(name)["repository"]
    assert (repository is None) == (name in TRAINED_HERE)
    assert ("\n# Licence:" in text) == (repository is not None)


def section_of(name):
    # the default training's batch holds whole captions of four images
    return compose(PARAMS, {"generator": name, "generator.images_per_caption": 4})["generator"]


def test_every_shipped_config_has_a_miniature():
    assert {path.stem for path in (PARAMS / "generator").glob("*.yaml")} == set(MINIATURES)


@pytest.mark.parametrize("name", MINIATURES)
def test_a_shipped_config_draws(name, request):
    section = section_of(name)
    settings = GeneratorSettings.read(section)
    assert settings.scheduler_class.__name__ == section["scheduler"]["_target_"].rpartition(".")[2]
    # half precision is slow on a CPU, compiling takes minutes, and the miniature's images are 16 pixels wide
    small = settings.changed(size_px=16, saved_size_px=8, dtype="float32", compile=False)
    generator = DiffusersGenerator(request.getfixturevalue(MINIATURES[name]), small)
    requests = [ImageRequest("c-a", "a nine", index) for index in range(2)]
    ((images, unsafe),) = generator.draw(requests, 0)
    assert unsafe == [False, False]
    assert images.shape == (2, 3, 8, 8) and images.dtype == torch.uint8
    assert not torch.equal(images[0], images[1])


def test_the_catalogs_model_serves_unless_another_is_named(tmp_path):
    catalogs = PROJECT / "data" / "06_models" / "generator"
    assert named_folder(None, catalogs) == catalogs
    assert named_folder("data/06_models/x", catalogs) == PROJECT / "data/06_models/x"
    assert named_folder(str(tmp_path), catalogs) == tmp_path
