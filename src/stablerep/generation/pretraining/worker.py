"""One process of the pretraining; `launch.pretrain_generator` starts as many as asked for.

To run it without that: python -m torch.distributed.run --standalone --nproc-per-node 2
    -m stablerep.generation.pretraining.worker WORK_FOLDER PIPELINE_FOLDER
"""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from stablerep.generation.pretraining.assemble import assemble_pipeline
from stablerep.generation.pretraining.autoencoder import train_autoencoder
from stablerep.generation.pretraining.captioned_pixels import CaptionedPixels, build_captioned_pixels
from stablerep.generation.pretraining.captions import tabulate_captions
from stablerep.generation.pretraining.denoiser import train_denoiser
from stablerep.generation.pretraining.order import read_order
from stablerep.generation.pretraining.pixel_space import build_pass_through
from stablerep.generation.pretraining.pool import Pool, latent_pool, pixel_pool
from stablerep.generation.pretraining.recipe import PretrainingRecipe
from stablerep.generation.pretraining.stage import training_device
from stablerep.models.tokenizer import build_tokenizer


def train_generator(
    recipe: PretrainingRecipe, images: CaptionedPixels, work: Path, target: Path
) -> dict[str, float]:
    """Trains what is not trained yet and writes the pipeline; the part of one process.

    Args:
        recipe: the numbers.
        images: to learn from.
        work: of checkpoints and latents.
        target: the pipeline's folder.

    Returns:
        Seconds by part.
    """
    device = training_device()
    tokenizer = build_tokenizer(images.texts(), recipe.max_tokens)
    autoencoder, pool, seconds = _space(recipe, images.to(device), work, device)
    captions = tabulate_captions(images, pool.keys, tokenizer, recipe.captions_per_image, recipe.seed, device)
    denoiser, seconds["denoiser_s"] = train_denoiser(recipe, pool, captions, tokenizer, work)
    if PartialState().is_main_process:
        assemble_pipeline(target, tokenizer, autoencoder, denoiser)
    return seconds


def _space(
    recipe: PretrainingRecipe, images: CaptionedPixels, work: Path, device: torch.device
) -> tuple[Any, Pool, dict[str, float]]:
    """Returns the autoencoder, what the denoiser learns from, and the seconds of training."""
    if recipe.space == "pixel":
        pool = pixel_pool(recipe, images, device)
        return build_pass_through(pool.scaling), pool, {}
    autoencoder, seconds = train_autoencoder(recipe, images, work)
    pool = latent_pool(autoencoder, recipe, images, work / "pool.safetensors", device)
    autoencoder.register_to_config(scaling_factor=pool.scaling)
    return autoencoder, pool, {"autoencoder_s": seconds}


def main(work: str, target: str) -> None:
    """Trains as the file in a work folder says, and writes the seconds beside it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder = Path(work)
    recipe, taken_down = read_order(folder)
    images = build_captioned_pixels(recipe.images, recipe.size_step_px).without(taken_down)
    seconds = train_generator(recipe, images, folder, Path(target))
    if PartialState().is_main_process:
        (folder / "seconds.json").write_text(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
