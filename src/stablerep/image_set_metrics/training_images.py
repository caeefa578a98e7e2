"""The training images of a generator as a sample: some of those that its recipe learned from."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stablerep.generation.pretraining.captioned_pixels import CaptionedPixels, in_chunks
from stablerep.image_set_metrics.sample import Sample
from stablerep.storage.pixels import ImagesInMemory
from stablerep.storage.shards import digest_of


def training_images(
    images: CaptionedPixels, generator: str, pool_size: int, seed: int
) -> Callable[[int], Sample]:
    """Returns a function that samples a generator's training images.

    Args:
        images: that the recipe names.
        generator: its name.
        pool_size: of the recipe; images of a stream that it learned from.
        seed: of the recipe.
    """

    def sample(num_images: int) -> Sample:
        pixels = _some(images, num_images, pool_size, seed)
        digests = [digest_of(each.numpy().tobytes()) for each in pixels]
        table = pd.DataFrame(
            {
                "image_id": [f"training image {row}" for row in range(len(pixels))],
                "caption_id": "",
                "text": "",
                "digest": digests,
                "generated": False,
                "alignment": np.nan,
            }
        )
        name = f"training images of {generator}"
        return Sample(name, ImagesInMemory(pixels), table, {}, frozenset(digests))

    return sample


def _some(images: CaptionedPixels, num_images: int, pool_size: int, seed: int) -> Tensor:
    """Returns (N, 3, S, S) uint8: spread evenly over a fixed set, or the first of a stream's pool."""
    count = images.count()
    if count is None:
        chunks, there = [], 0
        for pixels, _ in in_chunks(images, pool_size, seed):
            chunks.append(pixels)
            there += len(pixels)
            if there >= num_images:
                break
        found = torch.cat(chunks)[:num_images]
    else:
        # a set may be in the order of its classes, with all mirrored images behind the others
        places = np.linspace(0, count - 1, min(num_images, count)).round().astype(int)
        found = torch.cat([images.take(int(place), 1, seed)[0] for place in places])
    return (found * 255).round().to(torch.uint8).contiguous()
