"""Trains the autoencoder on the training images, and encodes the pool of the denoiser.

Legend: B images (B, 3, S, S) in [-1, 1] as diffusers needs them, P of the pool, L side of the latents.
"""

from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from safetensors.torch import load_file
from torch import Tensor, nn

from stablerep.generation.pretraining.architecture import build_autoencoder, reproducible_init
from stablerep.generation.pretraining.captioned_pixels import CaptionedPixels
from stablerep.generation.pretraining.recipe import PretrainingRecipe
from stablerep.generation.pretraining.stage import run_stage
from stablerep.seeding import torch_generator
from stablerep.storage.tensors import save_tensors

_POOL_CHUNK = 512


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
    model = Reconstruction(reproducible_init(build_autoencoder, recipe.seed, images.size_px))

    def loss_of_step(network: nn.Module, step: int, num: int, process: int) -> Tensor:
        pixels, _ = images.sample(num, recipe.seed, "autoencoder", step, process)
        inputs = (pixels * 2 - 1).to(next(network.parameters()).device)
        generator = torch_generator(recipe.seed, "autoencoder posterior", step, process)
        decoded, divergence = network(inputs, generator)
        error = decoded - inputs
        return error.abs().mean() + error.square().mean() + recipe.kl_weight * divergence

    seconds = run_stage("autoencoder", model, recipe.autoencoder, loss_of_step, folder)
    return model.autoencoder, seconds


@torch.no_grad()
def encode_pool(
    model: Any, recipe: PretrainingRecipe, images: CaptionedPixels, path: Path
) -> dict[str, Tensor]:
    """Encodes a pool of images once, or reads it back.

    Args:
        model: the trained autoencoder.
        recipe: the numbers.
        images: to encode.
        path: of the file.

    Returns:
        `latents` (P, 4, L, L) float32 means, not yet scaled, and `keys` (P, K) int64 of their captions.
    """
    state = PartialState()
    if not path.exists() and state.is_main_process:
        model.eval()
        parts: dict[str, list[Tensor]] = {"latents": [], "keys": []}
        for start in range(0, recipe.pool_size, _POOL_CHUNK):
            num = min(_POOL_CHUNK, recipe.pool_size - start)
            pixels, keys = images.sample(num, recipe.seed, "pool", start)
            inputs = (pixels * 2 - 1).to(next(model.parameters()).device)
            parts["latents"].append(model.encode(inputs).latent_dist.mean.cpu())
            parts["keys"].append(keys)
        save_tensors(path, {k: torch.cat(v) for k, v in parts.items()})
    state.wait_for_everyone()
    return load_file(path)
