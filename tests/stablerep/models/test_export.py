"""An exported encoder, as somebody loads it who has timm and nothing of ours."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stablerep.models.encoders import build_encoder
from stablerep.models.export import export_to_timm

TIMM = "stablerep.models.encoders.TimmEncoder"
VIT = {"name": "test_vit", "size_px": 32, "patch_size": 8}
RESNET = {"name": "test_resnet", "size_px": 32, "output_stride": 8, "flatten": True}
CODE = """
import sys
sys.modules["stablerep"] = None  # importing it fails
import numpy as np, timm, torch
model = timm.create_model(f"local-dir:{sys.argv[1]}/timm", pretrained=True).eval()
data = timm.data.resolve_model_data_config(model)
mean, std = (torch.tensor(data[key])[:, None, None] for key in ("mean", "std"))
images = torch.from_numpy(np.load(f"{sys.argv[1]}/images.npy"))
with torch.inference_mode():
    np.save(f"{sys.argv[1]}/features.npy", model((images - mean) / std).flatten(1).numpy())
print(data["input_size"])
"""


@pytest.mark.parametrize("options", [VIT, RESNET], ids=["vit", "resnet"])
def test_timm_alone_loads_it_and_gives_its_features(options: dict[str, object], tmp_path: Path) -> None:
    config = {"_target_": TIMM, **options}
    torch.manual_seed(0)
    encoder = build_encoder(config).eval()
    assert export_to_timm(config, encoder.state_dict(), tmp_path / "timm")
    assert {path.name for path in (tmp_path / "timm").iterdir()} == {"config.json", "model.safetensors"}
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
