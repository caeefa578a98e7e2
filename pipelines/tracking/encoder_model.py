"""A trained encoder as MLflow loads it: this file is copied into the model and run there; nothing is pickled.

An encoder in timm's form needs timm alone. One of our own classes needs `stablerep` where it is loaded.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np

if TYPE_CHECKING:
    from torch import nn


class EncoderModel(mlflow.pyfunc.PythonModel):
    """Maps (B, 3, S, S) float32 images in [0, 1] to (B, F) float32 features."""

    def load_context(self, context: Any) -> None:
        """Builds the encoder of the artifact `encoder`, an arm's folder."""
        folder = Path(context.artifacts["encoder"])
        self._encoder = _load_timm(folder / "timm") if (folder / "timm").is_dir() else _load_ours(folder)

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> np.ndarray:
        """Returns the features."""
        import torch

        with torch.inference_mode():
            images = torch.from_numpy(np.ascontiguousarray(model_input, dtype=np.float32))
            return np.asarray(self._encoder(images).flatten(1).numpy())


def _load_timm(folder: Path) -> "nn.Module":
    import timm
    from timm.data import resolve_model_data_config
    from torch import nn
    from torchvision.transforms.v2 import Normalize

    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    config = resolve_model_data_config(model)
    return nn.Sequential(Normalize(config["mean"], config["std"]), model)


def _load_ours(folder: Path) -> "nn.Module":
    import json

    from safetensors.torch import load_file

    from stablerep.models.encoders import build_encoder

    config = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))["encoder_config"]
    encoder = build_encoder(config)
    encoder.load_state_dict(load_file(folder / "encoder.safetensors"))
    return encoder.eval()


mlflow.models.set_model(EncoderModel())
