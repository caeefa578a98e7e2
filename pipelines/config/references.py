"""References as the library evaluates them, built from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.utils import find_kedro_project

from pipelines.config.evaluation import untrained_encoder

if TYPE_CHECKING:
    from stablerep.evaluation.labelled_set import LabelledSet
    from stablerep.evaluation.reference_settings import ReferenceSettings
    from stablerep.models.encoder import Encoder
    from stablerep.storage.pixels import Pixels


def build_reference(
    name: str,
    reference: Mapping[str, Any],
    backbone: Mapping[str, Any],
    labelled: LabelledSet,
    pixels: Pixels,
    seed: int,
) -> tuple[Encoder, Mapping[str, Any]]:
    """Returns a reference's encoder, and the configuration that is a part of its features' key.

    Args:
        name: its key in `references`.
        reference: its entry.
        backbone: `encoder.backbone`, which the arms train.
        labelled: the evaluation set, of whose train images principal components are computed.
        pixels: of the set.
        seed: of the untrained encoder's weights.

    Raises:
        ConfigError: timm has no such model.
        DataError: weights are missing or do not fit.
    """
    from stablerep.evaluation.raw_pixels import RawPixels, fit_pixel_components
    from stablerep.evaluation.reference_settings import ReferenceSettings

    read = ReferenceSettings.read(reference, f"references.{name}")
    if read.kind == "untrained":
        return untrained_encoder(backbone, seed), backbone
    if read.kind == "pretrained":
        return load_reference(name, read)
    if read.num_components is None:
        return RawPixels(), {}
    return fit_pixel_components(pixels, labelled.rows("train"), read.num_components, seed), {}


def load_reference(name: str, reference: ReferenceSettings) -> tuple[Encoder, Mapping[str, Any]]:
    """Loads a timm model with the user's weights.

    Args:
        name: its key in `references`.
        reference: of kind `pretrained`.

    Raises:
        ConfigError: timm has no such model.
        DataError: weights are missing or do not fit.
    """
    from stablerep.models.pretrained import load_pretrained

    assert reference.model is not None and reference.weights is not None  # noqa: S101 -- the settings check it
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    return load_pretrained(reference.model, project / reference.weights, f"references.{name}")


def check_references(references: Mapping[str, Any]) -> None:
    """Loads the models with the user's own weights, because a fault would else show after hours of training.

    Raises:
        ConfigError: timm has no such model.
        DataError: weights are missing or do not fit.
    """
    from stablerep.evaluation.reference_settings import ReferenceSettings

    for name, entry in references.items():
        reference = ReferenceSettings.read(entry, f"references.{name}")
        if reference.kind == "pretrained":
            load_reference(name, reference)
