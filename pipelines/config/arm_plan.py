"""What it takes to train an arm, built from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build_method
from pipelines.config.nested import merged
from stablerep.errors import ConfigError
from stablerep.models.settings import EncoderSettings, HeadSettings
from stablerep.training.settings import TrainingSettings

if TYPE_CHECKING:
    from stablerep.training.arms import ArmPlan


def training_of(name: str, arm: Mapping[str, Any], training: Mapping[str, Any]) -> TrainingSettings:
    """Returns the section `training` with the views of an arm's method, and with what the arm overrides."""
    key = f"arms.{name}.training"
    views = (training.get("augmentation_by_method") or {}).get(arm["method"]) or {}
    of_method = merged("training", dict(training), {"augmentation": views}) | {"augmentation_by_method": {}}
    read = TrainingSettings.read(merged(key, of_method, arm.get("training") or {}), key)
    if read.augmentation_by_method:
        raise ConfigError(
            f"{key}.augmentation_by_method: an arm has one method; set {key}.augmentation instead, "
            "which overrides the views of the method."
        )
    return read


def head_of(name: str, arm: Mapping[str, Any], encoder: Mapping[str, Any]) -> HeadSettings:
    """Returns the section `encoder.head` with what an arm overrides of it."""
    key = f"arms.{name}.head"
    return HeadSettings.read(merged(key, dict(encoder["head"]), arm.get("head") or {}), key)


def plan_arm(
    name: str,
    arm: Mapping[str, Any],
    method: Mapping[str, Any],
    encoder: Mapping[str, Any],
    training: TrainingSettings,
    seed: int,
    project: Path,
) -> ArmPlan:
    """Builds one arm's plan from the configuration.

    Args:
        name: of the arm.
        arm: its entry.
        method: the entry of its method.
        encoder: the section.
        training: the section, with what the arm overrides.
        seed: of weights, order and views.
        project: the folder that a relative `encoder.text.tokenizer_folder` starts from.
    """
    from stablerep.training.arms import ArmPlan

    settings = EncoderSettings.read(encoder)
    named = settings.text.tokenizer_folder
    return ArmPlan(
        name=name,
        method_name=arm["method"],
        method=build_method(arm["method"], dict(method)),
        images=arm["images"],
        encoder_config=dict(settings.backbone),
        head=head_of(name, arm, settings.model_dump()),
        text=settings.text,
        optimisation=training,
        tokenizer_folder=None if named is None else str(project / named),
        seed=seed,
    )
