"""A trained encoder as a folder that timm loads by itself: `config.json` and `model.safetensors`.

    timm.create_model("local-dir:<folder>", pretrained=True)

It takes images standardised with the `mean` and `std` of its `pretrained_cfg`, or each by its own mean and
deviation: `README.md` in the folder says which. Encoders of this package that are no timm models, such as the
scorer's, cannot be written so.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from stablerep.models.encoders import IMAGENET_DEVIATION, IMAGENET_MEAN, TimmEncoder, build_encoder

_BY_CONSTANTS = (
    "    data = timm.data.resolve_model_data_config(model)\n"
    "    mean, std = (torch.tensor(data[key])[:, None, None] for key in ('mean', 'std'))\n"
    "    images = (images - mean) / std"
)
_STANDARDISE = {
    "timm": _BY_CONSTANTS,
    "imagenet": _BY_CONSTANTS,
    "image": "    std, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True)  # of each image\n"
    "    images = (images - mean) / (std + 1e-5)",
}
_README = """# An encoder in timm's form

Features of `images`, (B, 3, H, W) in [0, 1] at the size of `config.json`:

    import timm, torch

    model = timm.create_model("local-dir:THIS FOLDER", pretrained=True).eval()
{standardise}
    features = model(images).flatten(1)
"""


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
    data: dict[str, Any] = {"input_size": (3, encoder.size_px, encoder.size_px)}
    if encoder.standardise == "image":
        data |= {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    elif encoder.standardise == "imagenet":
        data |= {"mean": IMAGENET_MEAN, "std": IMAGENET_DEVIATION}
    save_for_hf(encoder.body, str(folder), safe_serialization=True, data_config=data)
    (folder / "README.md").write_text(_README.format(standardise=_STANDARDISE[encoder.standardise]))
    return True
