"""The denoiser's training data, in the memory of its device: pixels, or latents that were encoded once.

Legend: P images of the pool, C channels and L side of what is denoised, K numbers of a key.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from safetensors.torch import load_file
from torch import Tensor

from stablerep.generation.pretraining.captioned_pixels import CaptionedPixels, in_chunks
from stablerep.generation.pretraining.recipe import PretrainingRecipe
from stablerep.storage.tensors import save_tensors

_NUM_MEASURED = 4096  # images whose deviation is taken for that of all


@dataclass(frozen=True)
class Pool:
    """Images that the denoiser learns from.

    Attributes:
        values: (P, C, L, L), latents as float32 or pixels as uint8.
        keys: (P, K) int64, on the CPU.
        scaling: brings what is denoised to unit deviation.
    """

    values: Tensor
    keys: Tensor
    scaling: float

    def at(self, places: Tensor) -> Tensor:
        """Returns what is denoised at (B,) places: (B, C, L, L) float32 of about unit deviation."""
        values = self.values[places]
        if values.dtype == torch.uint8:
            values = values.float() / 127.5 - 1
        return values * self.scaling


def pixel_pool(recipe: PretrainingRecipe, images: CaptionedPixels, device: torch.device) -> Pool:
    """Takes the images themselves."""
    taken = in_chunks(images, recipe.pool_size, recipe.seed)
    chunks = [((pixels * 255).round().to(torch.uint8), keys) for pixels, keys in taken]
    pixels, keys = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    # evenly over the pool, which may be in the order of its classes
    some = pixels[:: max(1, len(pixels) // _NUM_MEASURED)].float() / 127.5
    return Pool(pixels.to(device), keys, 1 / float(some.std()))


def latent_pool(
    model: Any, recipe: PretrainingRecipe, images: CaptionedPixels, path: Path, device: torch.device
) -> Pool:
    """Encodes the images once, or reads them back.

    Args:
        model: the trained autoencoder; the means of its latents are taken.
        recipe: the numbers.
        images: to encode.
        path: of the file.
        device: of the pool.
    """
    state = PartialState()
    if not path.exists() and state.is_main_process:
        save_tensors(path, _encode(model, recipe, images))
    state.wait_for_everyone()
    read = load_file(path)
    return Pool(read["latents"].to(device), read["keys"], 1 / float(read["latents"].std()))


@torch.no_grad()
def _encode(model: Any, recipe: PretrainingRecipe, images: CaptionedPixels) -> dict[str, Tensor]:
    model.eval()
    parts: dict[str, list[Tensor]] = {"latents": [], "keys": []}
    for pixels, keys in in_chunks(images, recipe.pool_size, recipe.seed):
        inputs = (pixels * 2 - 1).to(model.device)
        parts["latents"].append(model.encode(inputs).latent_dist.mean.cpu())
        parts["keys"].append(keys)
    return {name: torch.cat(each) for name, each in parts.items()}
