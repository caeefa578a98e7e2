"""Trains the UNet and the text encoder together on the pool, with captions drawn again for each step.

Legend: B images, what is denoised (B, C, L, L) of unit deviation, token ids (B, T).
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.generation.pretraining.architecture import (
    Denoiser,
    build_noise_scheduler,
    build_text_encoder,
    build_unet,
    reproducible_init,
)
from stablerep.generation.pretraining.captions import CaptionTable
from stablerep.generation.pretraining.pool import Pool
from stablerep.generation.pretraining.recipe import PretrainingRecipe
from stablerep.generation.pretraining.stage import run_stage
from stablerep.seeding import torch_generator


def train_denoiser(
    recipe: PretrainingRecipe, pool: Pool, captions: CaptionTable, tokenizer: Any, folder: Path
) -> tuple[Denoiser, float]:
    """Trains it and returns its moving average with the seconds taken.

    Args:
        recipe: the numbers.
        pool: to learn from, on the device of the training.
        captions: of the pool, likewise.
        tokenizer: see `build_tokenizer`.
        folder: where the checkpoint lies.
    """
    scheduler = build_noise_scheduler()
    num_channels, size = pool.values.shape[1:3]
    unet = reproducible_init(build_unet, recipe.seed + 1, recipe.unet, recipe.text, num_channels, size)
    text_encoder = reproducible_init(build_text_encoder, recipe.seed + 2, recipe.text, tokenizer)
    model = Denoiser(unet, text_encoder)
    device = pool.values.device

    def loss_of_step(network: nn.Module, step: int, num: int, process: int) -> Tensor:
        generator = torch_generator(recipe.seed, "denoiser", step, process, device=device)
        places = torch.randint(len(pool.values), (num,), generator=generator, device=device)
        clean = pool.at(places)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        # logit-normal (arXiv:2403.03206, section 3.1): the middle of the schedule, where shapes are decided,
        # is trained more often than its ends
        position = torch.sigmoid(torch.randn(num, generator=generator, device=device))
        timesteps = (position * scheduler.config.num_train_timesteps).long()
        token_ids = captions.draw(places, recipe.caption_dropout, generator)
        noisy = scheduler.add_noise(clean, noise, timesteps)
        target = scheduler.get_velocity(clean, noise, timesteps)
        return F.mse_loss(network(noisy, timesteps, token_ids).float(), target)

    seconds = run_stage("denoiser", model, recipe.denoiser, loss_of_step, folder)
    return model, seconds
