"""What it takes to train an arm, built from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build_method

if TYPE_CHECKING:
    from stablerep.training.arms import ArmPlan


def training_of(arm: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the section `training` with what an arm overrides of it."""
    return _merged(training, arm.get("training") or {})


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged


def plan_arm(
    name: str,
    arm: Mapping[str, Any],
    method: Mapping[str, Any],
    encoder: Mapping[str, Any],
    training: Mapping[str, Any],
    generator_folder: Path,
    seed: int,
) -> ArmPlan:
    """Builds one arm's plan from the configuration.

    Args:
        name: of the arm.
        arm: its entry.
        method: the entry of its method.
        encoder: the section.
        training: the section, with what the arm overrides.
        generator_folder: whose tokenizer the text tower takes where no other is named.
        seed: of weights, order and views.
    """
    from stablerep.methods.batch import BatchSettings
    from stablerep.training.arms import ArmPlan
    from stablerep.training.settings import HeadSettings, OptimisationSettings, TextSettings
    from stablerep.training.views import AugmentationSettings

    values = dict(training)
    views = dict(values.pop("augmentation"))
    views["downsample_px"] = tuple(views["downsample_px"])
    batch = BatchSettings(**values.pop("batch"))
    values["betas"] = tuple(values["betas"])
    settings = OptimisationSettings(batch=batch, augmentation=AugmentationSettings(**views), **values)
    text = dict(encoder["text"])
    tokenizer_folder = text.pop("tokenizer_folder", None) or generator_folder / "tokenizer"
    return ArmPlan(
        name=name,
        method_name=arm["method"],
        method=build_method(arm["method"], dict(method)),
        images=arm["images"],
        encoder_config=dict(encoder["backbone"]),
        head=HeadSettings(**encoder["head"]),
        text=TextSettings(**text),
        optimisation=settings,
        tokenizer_folder=str(tokenizer_folder),
        seed=seed,
    )
