"""An exported encoder, as someone loads it who has timm, torch or ONNX Runtime and nothing of ours."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.config.loader import compose
from stablerep.errors import ConfigError
from stablerep.models.card import CardFacts
from stablerep.models.encoder import Encoder
from stablerep.models.encoders import build_encoder
from stablerep.models.export import check_export, export_encoder, export_to_timm
from tests.stablerep.image_sets.sets import ORIGIN

TIMM = "stablerep.models.encoders.TimmEncoder"
VIT = {"name": "test_vit", "size_px": 32, "patch_size": 8}
RESNET = {"name": "test_resnet", "size_px": 32, "output_stride": 8, "flatten": True}
DEFAULT = compose(Path(__file__).parents[3] / "conf/params", {})["encoder"]["backbone"]
OPTIONS = {"vit": VIT, "resnet": RESNET, "default": DEFAULT}
FACTS = CardFacts("my arm", "stablerep", 3, {"_target_": TIMM, **VIT}, ORIGIN, {"step": 400, "loss": 1.25})
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
        config, weights = {"_target_": TIMM} | options, build(name).state_dict()
        assert export_to_timm(config, weights, FACTS, folder / name / "timm")
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
    assert not export_to_timm(config, build_encoder(config).state_dict(), FACTS, tmp_path / "timm")
    assert not (tmp_path / "timm").exists()


def test_the_configuration_describes_no_weights_that_are_not_in_the_folder(exported: Path) -> None:
    """Without a change timm writes `tag`, `license`, `origin_url` and `paper_ids` of its own ResNet-50."""
    config = {"_target_": TIMM, "name": "resnet50", "size_px": 32, "layers": [1, 1, 1, 1]}
    weights = build_encoder(config).state_dict()
    export_to_timm(config, weights, FACTS, exported / "resnet50")
    described = json.loads((exported / "resnet50/config.json").read_text())
    assert described["architecture"] == "resnet50"
    allowed = {"input_size", "interpolation", "mean", "std", "first_conv", "classifier", "num_classes"}
    allowed |= {"custom_load", "fixed_input_size", "crop_pct", "test_crop_pct", "crop_mode", "pool_size"}
    assert set(described["pretrained_cfg"]) <= allowed


# as someone would type the card's code, with the packages named here missing
PROGRAM = """
import sys, textwrap
from pathlib import Path
for name in sys.argv[2].split(","):
    sys.modules[name] = None  # importing it fails
import numpy as np
folder = Path(sys.argv[1])
images = np.load(folder / "images.npy")
if sys.argv[3] == "torch":
    import torch
    images = torch.from_numpy(images)
lines = (folder / "README.md").read_text().splitlines()
names = {"images": images}
code = textwrap.dedent("\\n".join(line for line in lines if line.startswith("    ")))
exec(code.replace("THIS FOLDER", str(folder)), names)
features = names["features"]
np.save(folder / "features.npy", features if sys.argv[3] == "onnx" else features.detach().numpy())
"""
FORMS = {"torch": "stablerep,timm", "onnx": "stablerep,timm,torch"}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("form", FORMS)
def test_the_program_of_a_card_gives_the_features_without_the_packages_that_made_it(
    form: str, name: str, tmp_path: Path
) -> None:
    if form == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    encoder = build(name)
    difference = export_encoder(
        form, {"_target_": TIMM} | OPTIONS[name], encoder.state_dict(), FACTS, tmp_path
    )
    assert 0 <= difference < 1e-4
    images = torch.rand(5, 3, 32, 32)
    np.save(tmp_path / "images.npy", images.numpy())
    call = [sys.executable, "-c", PROGRAM, str(tmp_path), FORMS[form], form]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with torch.inference_mode():
        expected = encoder(images).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), expected, rtol=1e-3, atol=1e-5)


def test_a_program_takes_one_image_as_well(tmp_path: Path) -> None:
    encoder = build("vit")
    export_encoder("torch", {"_target_": TIMM} | VIT, encoder.state_dict(), FACTS, tmp_path)
    image = torch.rand(1, 3, 32, 32)
    found = torch.export.load(tmp_path / "encoder.pt2").module()(image)
    torch.testing.assert_close(found, encoder(image), rtol=1e-3, atol=1e-5)


def test_an_export_in_timms_form_is_compared_with_the_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, weights = {"_target_": TIMM} | VIT, build("vit").state_dict()
    assert export_encoder("timm", config, weights, FACTS, tmp_path / "good") < 1e-5
    save = export_to_timm

    def save_other(config: Any, weights: Any, facts: CardFacts, folder: Path) -> bool:
        return save(config, {name: 1.1 * value for name, value in weights.items()}, facts, folder)

    monkeypatch.setattr("stablerep.models.export.export_to_timm", save_other)
    with pytest.raises(ConfigError, match="--format timm: the features of the exported file differ"):
        export_encoder("timm", config, weights, FACTS, tmp_path / "bad")


def test_an_encoder_of_our_own_has_no_timm_form_but_others(tmp_path: Path) -> None:
    config = {"_target_": "stablerep.models.residual.ResidualEncoder"}
    with pytest.raises(ConfigError, match=r"ResidualEncoder, which timm does not have.*torch or onnx"):
        check_export("timm", config)
    encoder = build_encoder(config)
    assert export_encoder("torch", config, encoder.state_dict(), FACTS, tmp_path) < 1e-4


def test_a_missing_package_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "stablerep.models.export.find_spec", lambda name: None if name == "onnxscript" else found("json")
    )
    with pytest.raises(ConfigError, match=r"onnxscript is not installed.*pip install 'stablerep\[onnx\]'"):
        check_export("onnx", {"_target_": TIMM})
    check_export("torch", {"_target_": TIMM})


def test_what_torch_cannot_follow_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: Encoder, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) if images.sum() > 0 else -images.flatten(1)

    monkeypatch.setattr("stablerep.models.residual.ResidualEncoder.forward", forward)
    config = {"_target_": "stablerep.models.residual.ResidualEncoder"}
    weights = build_encoder(config).state_dict()
    with pytest.raises(ConfigError, match="--format torch: torch cannot write this encoder"):
        export_encoder("torch", config, weights, FACTS, tmp_path)
