"""Trains the UNet and the text encoder together on the encoded pool, with new captions in each step.

Legend: B scenes, latents (B, 4, 8, 8) scaled to unit deviation, token ids (B, 16).
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.digit_scenes.grammar import SceneAttributes, hide_attributes, write_caption
from stablerep.digit_scenes.scenes import ATTRIBUTES
from stablerep.generation.pretraining.architecture import (
    Denoiser,
    build_noise_scheduler,
    build_text_encoder,
    build_unet,
    reproducible_init,
)
from stablerep.generation.pretraining.recipe import PretrainingRecipe
from stablerep.generation.pretraining.stage import run_stage
from stablerep.models.text import tokenize
from stablerep.seeding import numpy_generator, torch_generator


def train_denoiser(
    recipe: PretrainingRecipe, pool: dict[str, Tensor], scaling: float, tokenizer: Any, folder: Path
) -> tuple[Denoiser, float]:
    """Trains it and returns its moving average with the seconds taken.

    Args:
        recipe: the numbers.
        pool: from `encode_pool`.
        scaling: latents are multiplied by this.
        tokenizer: the corpus's.
        folder: of the checkpoint.
    """
    scheduler = build_noise_scheduler()
    unet = reproducible_init(build_unet, recipe.seed + 1)
    text_encoder = reproducible_init(build_text_encoder, recipe.seed + 2, tokenizer)
    model = Denoiser(unet, text_encoder)

    def loss_of_step(network: nn.Module, step: int, num: int, process: int) -> Tensor:
        device = next(network.parameters()).device
        generator = torch_generator(recipe.seed, "denoiser", step, process)
        rows = torch.randint(len(pool["latents"]), (num,), generator=generator)
        latents = pool["latents"][rows] * scaling
        noise = torch.randn(latents.shape, generator=generator)
        # logit-normal (arXiv:2403.03206, section 3.1): the middle of the schedule, where shapes are decided,
        # is trained more often than its ends
        position = torch.sigmoid(torch.randn(num, generator=generator))
        timesteps = (position * scheduler.config.num_train_timesteps).long()
        texts = _captions(recipe, pool, rows, step, process)
        token_ids = tokenize(tokenizer, texts)
        noisy = scheduler.add_noise(latents, noise, timesteps)
        target = scheduler.get_velocity(latents, noise, timesteps)
        predicted = network(noisy.to(device), timesteps.to(device), token_ids.to(device))
        return F.mse_loss(predicted, target.to(device))

    seconds = run_stage("denoiser", model, recipe.denoiser, loss_of_step, folder)
    return model, seconds


def _captions(
    recipe: PretrainingRecipe, pool: dict[str, Tensor], rows: Tensor, step: int, process: int
) -> list[str]:
    rng = numpy_generator(recipe.seed, "captions", step, process)
    texts = []
    for row in rows.tolist():
        scene = SceneAttributes(**{name: int(pool[name][row]) for name in ATTRIBUTES})
        text = write_caption(hide_attributes(scene, rng), rng)
        texts.append("" if rng.random() < recipe.caption_dropout else text)
    return texts
