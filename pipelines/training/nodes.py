"""Adapters of the training room: tables and settings in, a trained arm out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build_method
from pipelines.config.model_folder import model_folder
from pipelines.tracking import live_rows
from stablerep.generation.diffusion.settings import GeneratorSettings

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.training.arms import ArmPlan, TrainedArm
    from stablerep.training.batches import ImageSource


def train_arm(
    name: str,
    images: ImageSource,
    accepted_images: pd.DataFrame,
    generator_folder: Path,
    training_work: Path,
    arms: list[dict[str, str]],
    batch: dict[str, Any],
    generation: dict[str, Any],
    methods: dict[str, Any],
    model: dict[str, Any],
    optimisation: dict[str, Any],
    seed: int,
) -> TrainedArm:
    """Trains one arm of the experiment on its images.

    `accepted_images` says that the image gate has been passed: no arm is trained before, those on real scenes
    neither, for arms of one run are compared, and its record of captions counts the images.
    """
    from stablerep.training.arms import train_arm as train

    arm = next(each for each in arms if each["name"] == name)
    folder = model_folder(GeneratorSettings.read(generation), generator_folder)
    plan = plan_arm(arm, batch, methods, model, optimisation, folder, seed)
    return train(plan, images, training_work, partial(live_rows.tell, name))


def plan_arm(
    arm: dict[str, str],
    batch: dict[str, Any],
    methods: dict[str, Any],
    model: dict[str, Any],
    optimisation: dict[str, Any],
    generator_folder: Path,
    seed: int,
) -> ArmPlan:
    """Builds one arm's plan from the configuration."""
    from stablerep.models.settings import HeadSettings, TextSettings
    from stablerep.training.arms import ArmPlan
    from stablerep.training.settings import TrainingSettings

    settings = TrainingSettings.read({**optimisation, "batch": batch})
    text = TextSettings.read(model["text"])
    tokenizer_folder = text.tokenizer_folder or generator_folder / "tokenizer"
    return ArmPlan(
        name=arm["name"],
        method_name=arm["method"],
        method=build_method(arm["method"], methods[arm["method"]]),
        images=arm["images"],
        encoder_config=dict(model["encoder"]),
        head=HeadSettings.read(model["head"]),
        text=text,
        optimisation=settings,
        tokenizer_folder=str(tokenizer_folder),
        seed=seed,
    )


def read_synthetic_images(
    accepted_images: pd.DataFrame,
    image_store: Path,
    caption_set: pd.DataFrame,
    optimisation: dict[str, Any],
) -> ImageSource:
    """Finds the accepted images of the generator; the digits that their captions name are their classes."""
    import torch

    from stablerep.digit_scenes.foreign_captions import digits_named
    from stablerep.training.batches import ImageSource
    from stablerep.training.stored_images import StoredImages

    images = StoredImages(image_store, accepted_images, optimisation["cache_mib"])
    row_of = {caption_id: row for row, caption_id in enumerate(caption_set["caption_id"])}
    rows = torch.tensor([row_of[caption_id] for caption_id in accepted_images["caption_id"]])
    texts = tuple(caption_set["text"])
    digits = digits_named(texts)
    labels = None
    if digits is not None:
        labels = torch.tensor([-1 if digit is None else digit for digit in digits])[rows]
    return ImageSource("synthetic", images, rows, texts, labels)


def draw_real_images(caption_set: pd.DataFrame, seed: int) -> ImageSource:
    """Draws one real scene a caption."""
    return _draw_scenes("real", caption_set, 1, seed)


def draw_images(caption_set: pd.DataFrame, generation: dict[str, Any], seed: int) -> ImageSource:
    """Draws as many real scenes a caption as the generator makes, as a perfect generator would."""
    return _draw_scenes("drawn", caption_set, generation["images_per_caption"], seed)


def _draw_scenes(name: str, caption_set: pd.DataFrame, number: int, seed: int) -> ImageSource:
    """Draws real scenes of captions; DataError where they tell of none."""
    import torch

    from stablerep.digit_scenes.foreign_captions import check_captions_tell_of_digits
    from stablerep.digit_scenes.scenes import draw_scenes_of_captions
    from stablerep.training.batches import ImageSource
    from stablerep.training.stored_images import ImagesInMemory

    texts = tuple(caption_set["text"])
    check_captions_tell_of_digits(texts)
    scenes = draw_scenes_of_captions(list(texts), number, "fit", name, seed)
    images = (scenes.images * 255).round().to(torch.uint8)
    rows = torch.arange(len(texts)).repeat_interleave(number)
    return ImageSource(name, ImagesInMemory(images), rows, texts, scenes.labels["digit"])
