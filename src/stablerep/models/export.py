"""A trained encoder as a folder that timm loads by itself: `config.json` and `model.safetensors`.

    timm.create_model("local-dir:<folder>", pretrained=True)

It takes images standardised with the `mean` and `std` of its `pretrained_cfg`. Encoders of this package that
are no timm models, such as `residual_small`, cannot be written so: see docs/method.md.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from stablerep.models.encoders import TimmEncoder, build_encoder


def export_to_timm(config: Mapping[str, Any], weights: Mapping[str, Tensor], folder: Path) -> bool:
    """Writes an encoder in timm's form, if it is a timm model.

    Args:
        config: what `build_encoder` takes.
        weights: the encoder's state.
        folder: made if it is missing; files of these names are written over.

    Returns:
        Whether it is one; nothing is written for others. With `flatten` the timm model returns the last map
        or tokens as they are: `.flatten(1)` gives the features.
    """
    encoder = build_encoder(config)
    if not isinstance(encoder, TimmEncoder):
        return False
    from timm.models import save_for_hf

    encoder.load_state_dict(dict(weights))
    size = (3, encoder.size_px, encoder.size_px)
    save_for_hf(encoder.body, str(folder), safe_serialization=True, data_config={"input_size": size})
    return True
