"""A trained encoder as MLflow's pyfunc flavour loads it: the model names this module, its code is not copied.

MLflow imports the module and calls `_load_pyfunc` with the folder that was logged (MLflow's documentation of
`mlflow.pyfunc`, "Function-based Model"). The model holds safetensors and JSON, no code and no pickle. It
loads where `stablerep` is installed.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from stablerep.errors import DataError
from stablerep.models.encoder import Encoder
from stablerep.models.encoders import build_encoder
from stablerep.storage.digests import faults_of_files


class EncoderModel:
    """An encoder that takes and gives numpy arrays.

    Args:
        encoder: with its trained weights, in evaluation mode.
    """

    def __init__(self, encoder: Encoder) -> None:
        """Takes the encoder as it is."""
        self._encoder = encoder

    def predict(self, model_input: np.ndarray) -> np.ndarray:
        """Maps (B, 3, S, S) images in [0, 1] to (B, F) float32 features."""
        images = torch.from_numpy(np.ascontiguousarray(model_input, dtype=np.float32))
        with torch.inference_mode():
            return np.asarray(self._encoder(images).numpy())


def _load_pyfunc(path: str) -> EncoderModel:
    """Loads an arm's folder: `encoder.json` and `encoder.safetensors`, if they are as they were logged."""
    folder = Path(path)
    if faults := faults_of_files(folder):
        raise DataError(
            f"{folder}: the encoder is damaged: {'; '.join(faults)}. Download it from MLflow again."
        )
    described = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    encoder = build_encoder(described["encoder_config"])
    encoder.load_state_dict(load_file(folder / "encoder.safetensors"))
    return EncoderModel(encoder.eval())
