"""An exported encoder, as somebody loads it who has timm and nothing of ours."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.config.loader import compose
from stablerep.models.encoders import build_encoder
from stablerep.models.export import export_to_timm

TIMM = "stablerep.models.encoders.TimmEncoder"
VIT = {"name": "test_vit", "size_px": 32, "patch_size": 8}
RESNET = {"name": "test_resnet", "size_px": 32, "output_stride": 8, "flatten": True}
DEFAULT = compose(Path(__file__).parents[3] / "conf/params", {})["encoder"]["backbone"]
# what the folder's own README tells to type
CODE = """
import sys, textwrap
from pathlib import Path
sys.modules["stablerep"] = None  # importing it fails
import numpy as np, torch
folder = Path(sys.argv[1])
images = torch.from_numpy(np.load(folder / "images.npy"))
told = [line for line in (folder / "timm/README.md").read_text().splitlines() if line.startswith("    ")]
with torch.inference_mode():
    exec(textwrap.dedent("\\n".join(told)).replace("THIS FOLDER", str(folder / "timm")))
np.save(folder / "features.npy", features.numpy())
print(timm.data.resolve_model_data_config(model)["input_size"])
"""


@pytest.mark.parametrize("options", [VIT, RESNET, DEFAULT], ids=["vit", "resnet", "default"])
def test_timm_alone_loads_it_and_gives_its_features(options: dict[str, object], tmp_path: Path) -> None:
    config = {"_target_": TIMM} | options
    torch.manual_seed(0)
    encoder = build_encoder(config).eval()
    assert export_to_timm(config, encoder.state_dict(), tmp_path / "timm")
    assert {path.name for path in (tmp_path / "timm").iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
    }
    images = torch.rand(2, 3, 32, 32)
    np.save(tmp_path / "images.npy", images.numpy())
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "(3, 32, 32)"
    with torch.inference_mode():
        expected = encoder(images).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), expected, rtol=1e-4, atol=1e-6)


def test_an_encoder_of_our_own_is_no_timm_model(tmp_path: Path) -> None:
    config = {"_target_": "stablerep.models.residual.ResidualEncoder"}
    assert not export_to_timm(config, build_encoder(config).state_dict(), tmp_path / "timm")
    assert not (tmp_path / "timm").exists()
