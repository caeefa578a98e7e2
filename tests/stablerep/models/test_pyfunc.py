"""The module that MLflow loads a logged encoder with."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from stablerep.errors import DataError
from stablerep.models.encoders import build_encoder
from stablerep.models.pyfunc import _load_pyfunc
from stablerep.storage.digests import write_digests

ENCODER = {"_target_": "stablerep.models.residual.ResidualEncoder", "channels": [4, 4], "size_px": 16}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_file(build_encoder(ENCODER).state_dict(), tmp_path / "encoder.safetensors")
    (tmp_path / "encoder.json").write_text(json.dumps({"name": "one", "encoder_config": ENCODER}))
    return tmp_path


def test_a_loaded_encoder_gives_its_features_whatever_else_is_in_the_batch(folder: Path) -> None:
    from safetensors.torch import load_file

    encoder = build_encoder(ENCODER)
    encoder.load_state_dict(load_file(folder / "encoder.safetensors"))
    images = np.random.default_rng(0).random((3, 3, 16, 16))
    expected = encoder.eval()(torch.from_numpy(images).float()).detach().numpy()
    model = _load_pyfunc(str(folder))
    features = model.predict(images)
    assert features.shape == (3, encoder.num_features)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-5)
    # in evaluation mode: batch statistics would change a feature with its neighbours
    np.testing.assert_allclose(model.predict(images[:1]), features[:1], rtol=1e-4, atol=1e-6)


def test_a_flipped_byte_is_refused(folder: Path) -> None:
    write_digests(folder)
    path = folder / "encoder.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"damaged: encoder\.safetensors is not the file that SHA256SUMS"):
        _load_pyfunc(str(folder))


def test_an_encoder_loads_without_the_workflow(folder: Path) -> None:
    code = (
        "import sys; from stablerep.models.pyfunc import _load_pyfunc as load; "
        f"load({str(folder)!r}); print([m for m in ('mlflow', 'kedro', 'pipelines') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
