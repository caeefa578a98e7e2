"""Trains the autoencoder on the training images.

Legend: B images (B, 3, S, S) in [-1, 1] as diffusers needs them.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stablerep.generation.pretraining.architecture import build_autoencoder, reproducible_init
from stablerep.generation.pretraining.captioned_pixels import CaptionedPixels
from stablerep.generation.pretraining.recipe import PretrainingRecipe
from stablerep.generation.pretraining.stage import run_stage
from stablerep.seeding import torch_generator


class Reconstruction(nn.Module):
    """An autoencoder's whole pass with what its loss needs, for AutoencoderKL.forward keeps the KL back."""

    def __init__(self, autoencoder: Any) -> None:
        """Wraps an AutoencoderKL."""
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Maps (B, 3, S, S) images to their reconstruction and the mean KL of their latents."""
        posterior = self.autoencoder.encode(images).latent_dist
        decoded = self.autoencoder.decode(posterior.sample(generator=generator)).sample
        return decoded, posterior.kl().mean()


def train_autoencoder(recipe: PretrainingRecipe, images: CaptionedPixels, folder: Path) -> tuple[Any, float]:
    """Trains it and returns it with the seconds taken.

    The loss is L1 plus squared error plus a small KL term: squared error alone blurs the textures.

    Args:
        recipe: the numbers.
        images: to learn from.
        folder: where the checkpoint lies.
    """
    model = Reconstruction(reproducible_init(build_autoencoder, recipe.seed, recipe.latents, images.size_px))

    def loss_of_step(network: nn.Module, step: int, num: int, process: int) -> Tensor:
        device = next(network.parameters()).device
        pixels, _ = images.sample(num, recipe.seed, "autoencoder", step, process)
        inputs = (pixels * 2 - 1).to(device)
        generator = torch_generator(recipe.seed, "autoencoder posterior", step, process, device=device)
        decoded, divergence = network(inputs, generator)
        error = decoded.float() - inputs
        return error.abs().mean() + error.square().mean() + recipe.kl_weight * divergence

    seconds = run_stage("autoencoder", model, recipe.autoencoder, loss_of_step, folder)
    return model.autoencoder, seconds
