"""Checks whether an arm can learn from local crops.

They are drawn by `training.inputs.views_of`, and compared by `methods.local_crops`.
"""

import torch

from stablerep.errors import ConfigError
from stablerep.methods.method import Method
from stablerep.models.encoder import Encoder
from stablerep.training.settings import LocalCropSettings

_WHERE = "Set it in conf/params/training/<name>.yaml, or for one arm in arms.<name>.training."


def check_local_crops(arm: str, method: Method, encoder: Encoder, settings: LocalCropSettings) -> None:
    """Checks that the method has positives for local crops, and that the encoder takes their size.

    Args:
        arm: its name.
        method: of the arm.
        encoder: of the arm, on any device; its weights and statistics stay as they are.
        settings: of the crops.

    Raises:
        ConfigError: it has not, or it gives other features for this size, or none.
    """
    if not settings.per_image:
        return
    if not method.uses_head or method.temperature is None:
        raise ConfigError(
            f"training.local_crops.per_image: got {settings.per_image} for arm {arm!r}; must be 0 for "
            f"{type(method).__name__}, whose loss compares images only with captions. {_WHERE}"
        )
    if settings.size_px is None or settings.size_px == encoder.size_px:
        return
    size_px, was_training = settings.size_px, encoder.training
    device = next(encoder.parameters()).device
    try:
        with torch.no_grad():
            shape = tuple(encoder.eval()(torch.zeros(2, 3, size_px, size_px, device=device)).shape)
    # what timm's models and torch raise for a size that they do not take
    except (AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"training.local_crops.size_px: got {size_px}; must be a size that the encoder takes ({error}). "
            "Set it to null, or for a vision transformer of timm set encoder.backbone.dynamic_img_size=true."
        ) from error
    finally:
        encoder.train(was_training)
    if shape != (2, encoder.num_features):
        raise ConfigError(
            f"training.local_crops.size_px: got {size_px}, of which the encoder gives {shape[-1]} features, "
            f"and {encoder.num_features} of its own {encoder.size_px} px; must be a size of which it gives "
            f"as many. Set it to null, or choose an encoder that pools its last map. {_WHERE}"
        )
