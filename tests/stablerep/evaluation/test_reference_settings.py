"""The section `references`."""

import pytest

from stablerep.errors import ConfigError
from stablerep.evaluation.reference_settings import ReferenceSettings


def test_a_model_and_its_weights_are_enough() -> None:
    read = ReferenceSettings.read({"model": "vit_small_patch16_dinov3", "weights": "/models/dinov3"})
    assert read.kind == "pretrained"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"model": "resnet50"}, r"references\.mine\.weights: got None; must be given for a timm model"),
        ({}, r"references\.mine\.model: got None; must be given for a timm model"),
        (
            {"kind": "untrained", "model": "resnet50"},
            r"mine\.model: got 'resnet50'; must be null for kind: unt",
        ),
        (
            {"kind": "untrained", "num_components": 3},
            r"num_components: got 3; must be null for kind: untrained",
        ),
        ({"kind": "raw_pixels", "num_components": 0}, r"num_components: got 0; must be >= 1 and <= 3072"),
        ({"kind": "raw_pixel"}, r"kind: got 'raw_pixel'; .*Did you mean 'raw_pixels'"),
    ],
)
def test_what_does_not_fit_its_kind_is_refused(values: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ReferenceSettings.read(values, "references.mine")
