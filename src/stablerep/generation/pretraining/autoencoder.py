"""Trains the autoencoder on scenes of the fit hands, and encodes the denoiser's pool.

Legend: B scenes, images (B, 3, 32, 32) in [-1, 1] as diffusers expects them.
"""

from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from safetensors.torch import load_file
from torch import Tensor, nn

from stablerep.digit_scenes.scenes import ATTRIBUTES, draw_scenes
from stablerep.generation.pretraining.architecture import build_autoencoder, reproducible_init
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
        """Maps (B, 3, 32, 32) images to their reconstruction and the mean KL of their latents."""
        posterior = self.autoencoder.encode(images).latent_dist
        decoded = self.autoencoder.decode(posterior.sample(generator=generator)).sample
        return decoded, posterior.kl().mean()


def train_autoencoder(recipe: PretrainingRecipe, folder: Path) -> tuple[Any, float]:
    """Trains it and returns it with the seconds taken.

    The loss is L1 plus squared error plus a small KL term: squared error alone blurs the textures.
    """
    model = Reconstruction(reproducible_init(build_autoencoder, recipe.seed))

    def loss_of_step(network: nn.Module, step: int, num: int, process: int) -> Tensor:
        images = draw_scenes(num, "fit", recipe.seed, "autoencoder", step, process).images * 2 - 1
        images = images.to(next(network.parameters()).device)
        generator = torch_generator(recipe.seed, "autoencoder posterior", step, process)
        decoded, divergence = network(images, generator)
        error = decoded - images
        return error.abs().mean() + error.square().mean() + recipe.kl_weight * divergence

    seconds = run_stage("autoencoder", model, recipe.autoencoder, loss_of_step, folder)
    return model.autoencoder, seconds


@torch.no_grad()
def encode_pool(model: Any, recipe: PretrainingRecipe, path: Path) -> dict[str, Tensor]:
    """Encodes the pool of scenes once, or reads it back.

    Returns:
        `latents` (P, 4, 8, 8) float32 means, not yet scaled, and per attribute (P,) int64 labels.
    """
    state = PartialState()
    if not path.exists() and state.is_main_process:
        model.eval()
        parts: dict[str, list[Tensor]] = {name: [] for name in ("latents", *ATTRIBUTES)}
        for start in range(0, recipe.pool_size, _POOL_CHUNK):
            num = min(_POOL_CHUNK, recipe.pool_size - start)
            scenes = draw_scenes(num, "fit", recipe.seed, "pool", start)
            images = (scenes.images * 2 - 1).to(next(model.parameters()).device)
            parts["latents"].append(model.encode(images).latent_dist.mean.cpu())
            for name in ATTRIBUTES:
                parts[name].append(scenes.labels[name])
        save_tensors(path, {k: torch.cat(v) for k, v in parts.items()})
    state.wait_for_everyone()
    return load_file(path)
