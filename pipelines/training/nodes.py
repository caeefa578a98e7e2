"""Adapters of the training room: tables and settings in, trained arms out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.instantiation import build_method
from pipelines.model_folder import model_folder

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.training.arms import ArmPlan, TrainedArm
    from stablerep.training.batches import ImageSource


def train_arms(
    accepted_images: pd.DataFrame,
    image_store: Path,
    caption_set: pd.DataFrame,
    generator_folder: Path,
    training_work: Path,
    arms: list[dict[str, str]],
    methods: dict[str, Any],
    model: dict[str, Any],
    optimisation: dict[str, Any],
    generation: dict[str, Any],
    seed: int,
) -> dict[str, TrainedArm]:
    """Trains every arm of the experiment on its images."""
    from stablerep.training.arms import train_arms as train

    folder = model_folder(generation, generator_folder)
    plans = [plan_arm(arm, methods, model, optimisation, folder, seed) for arm in arms]
    wanted = {plan.images for plan in plans}
    sources = image_sources(
        wanted,
        accepted_images,
        image_store,
        caption_set,
        generation["images_per_caption"],
        optimisation["cache_mib"],
        seed,
    )
    return train(plans, sources, training_work)


def plan_arm(
    arm: dict[str, str],
    methods: dict[str, Any],
    model: dict[str, Any],
    optimisation: dict[str, Any],
    generator_folder: Path,
    seed: int,
) -> ArmPlan:
    """Builds one arm's plan from the configuration."""
    import torch

    from stablerep.training.arms import ArmPlan
    from stablerep.training.settings import HeadSettings, OptimisationSettings, TextSettings
    from stablerep.views import AugmentationSettings

    values = dict(optimisation)
    views = dict(values["augmentation"])
    views["downsample_px"] = tuple(views["downsample_px"])
    values["augmentation"] = AugmentationSettings(**views)
    values["betas"] = tuple(values["betas"])
    settings = OptimisationSettings(**values)
    text = dict(model["text"])
    tokenizer_folder = text.pop("tokenizer_folder", None) or generator_folder / "tokenizer"
    alone = settings.num_processes == 1 or torch.cuda.is_available()
    return ArmPlan(
        name=arm["name"],
        method_name=arm["method"],
        method=build_method(arm["method"], methods[arm["method"]]),
        images=arm["images"],
        encoder_config=dict(model["encoder"]),
        head=HeadSettings(**model["head"]),
        text=TextSettings(**text),
        optimisation=settings,
        tokenizer_folder=str(tokenizer_folder),
        seed=seed,
        num_threads=0 if alone else 1,
    )


def image_sources(
    wanted: set[str],
    accepted_images: pd.DataFrame,
    image_store: Path,
    caption_set: pd.DataFrame,
    images_per_caption: int,
    cache_mib: float,
    seed: int,
) -> dict[str, ImageSource]:
    """Collects the image sources that the arms name.

    synthetic: the accepted images of the generator. real: one real scene a caption. drawn: as many real
    scenes a caption as the generator makes, as a perfect generator would draw them.

    Raises:
        DataError: real scenes are wanted of captions that tell of none.
    """
    import torch

    from stablerep.corpora.digit_scenes import draw_scenes_of_captions
    from stablerep.corpora.foreign_captions import check_captions_tell_of_digits
    from stablerep.training.batches import ImageSource
    from stablerep.training.stored_images import ImagesInMemory, StoredImages

    texts = tuple(caption_set["text"])
    sources = {}
    if not wanted.isdisjoint(("real", "drawn")):
        check_captions_tell_of_digits(texts)
    if "synthetic" in wanted:
        row_of = {caption_id: row for row, caption_id in enumerate(caption_set["caption_id"])}
        rows = torch.tensor([row_of[caption_id] for caption_id in accepted_images["caption_id"]])
        stored = StoredImages(image_store, accepted_images, cache_mib)
        sources["synthetic"] = ImageSource("synthetic", stored, rows, texts)
    for name, number in (("real", 1), ("drawn", images_per_caption)):
        if name in wanted:
            scenes = draw_scenes_of_captions(list(texts), number, "fit", name, seed)
            images = (scenes.images * 255).round().to(torch.uint8)
            rows = torch.arange(len(texts)).repeat_interleave(number)
            sources[name] = ImageSource(name, ImagesInMemory(images), rows, texts)
    return sources
