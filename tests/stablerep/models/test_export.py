"""An exported encoder, as somebody loads it who has timm and nothing of ours."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.config.loader import compose
from stablerep.models.encoder import Encoder
from stablerep.models.encoders import build_encoder
from stablerep.models.export import export_to_timm

TIMM = "stablerep.models.encoders.TimmEncoder"
VIT = {"name": "test_vit", "size_px": 32, "patch_size": 8}
RESNET = {"name": "test_resnet", "size_px": 32, "output_stride": 8, "flatten": True}
DEFAULT = compose(Path(__file__).parents[3] / "conf/params", {})["encoder"]["backbone"]
OPTIONS = {"vit": VIT, "resnet": RESNET, "default": DEFAULT}
# what the folder's own README tells to type
CODE = """
import sys, textwrap
from pathlib import Path
sys.modules["stablerep"] = None  # importing it fails
import numpy as np, torch
for folder in map(Path, sys.argv[1:]):
    images = torch.from_numpy(np.load(folder / "images.npy"))
    lines = (folder / "timm/README.md").read_text().splitlines()
    code = textwrap.dedent("\\n".join(line for line in lines if line.startswith("    ")))
    names = {"images": images}
    with torch.inference_mode():
        exec(code.replace("THIS FOLDER", str(folder / "timm")), names)
    np.save(folder / "features.npy", names["features"].numpy())
    print(names["timm"].data.resolve_model_data_config(names["model"])["input_size"])
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each encoder as exported, images, and the features that timm alone gives.

    One process loads them all: importing torch and timm takes most of its time.
    """
    folder = tmp_path_factory.mktemp("exported")
    for name, options in OPTIONS.items():
        assert export_to_timm({"_target_": TIMM} | options, build(name).state_dict(), folder / name / "timm")
        np.save(folder / name / "images.npy", torch.rand(2, 3, 32, 32).numpy())
    folders = [str(folder / name) for name in OPTIONS]
    done = subprocess.run([sys.executable, "-c", CODE, *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["(3, 32, 32)"] * len(OPTIONS)
    return folder


def build(name: str) -> Encoder:
    torch.manual_seed(0)
    return build_encoder({"_target_": TIMM} | OPTIONS[name]).eval()


@pytest.mark.parametrize("name", OPTIONS)
def test_timm_alone_loads_it_and_gives_its_features(name: str, exported: Path) -> None:
    files = {path.name for path in (exported / name / "timm").iterdir()}
    assert files == {"README.md", "config.json", "model.safetensors"}
    images = torch.from_numpy(np.load(exported / name / "images.npy"))
    with torch.inference_mode():
        expected = build(name)(images).numpy()
    features = np.load(exported / name / "features.npy")
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)


def test_an_encoder_of_our_own_is_no_timm_model(tmp_path: Path) -> None:
    config = {"_target_": "stablerep.models.residual.ResidualEncoder"}
    assert not export_to_timm(config, build_encoder(config).state_dict(), tmp_path / "timm")
    assert not (tmp_path / "timm").exists()
