"""The captions of the pool as token ids, on the device of the training: a step draws them without Python.

Legend: P images of the pool, U different captions, T tokens, B images of a step.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stablerep.generation.pretraining.captioned_pixels import CaptionedPixels
from stablerep.models.text import tokenize
from stablerep.seeding import numpy_generator


@dataclass(frozen=True)
class CaptionTable:
    """Which captions each image of the pool has.

    Attributes:
        token_ids: (U, T) int64; the first row is the empty caption.
        rows: (P, most captions of an image) int64, rows of `token_ids`; behind an image's last one 0.
        numbers: (P,) int64, captions of each image.
    """

    token_ids: Tensor
    rows: Tensor
    numbers: Tensor

    def draw(self, places: Tensor, dropout: float, generator: torch.Generator) -> Tensor:
        """Draws a caption of each image, each of an image's as likely as its others.

        Args:
            places: (B,) int64, of the pool.
            dropout: probability of the empty caption in its place.
            generator: on the device of the table.

        Returns:
            (B, T) int64.
        """
        chances = torch.rand(2, len(places), generator=generator, device=places.device)
        # in float32 the product may round up to the number itself
        chosen = (chances[0] * self.numbers[places]).long().minimum(self.numbers[places] - 1)
        rows = self.rows[places, chosen]
        return self.token_ids[torch.where(chances[1] < dropout, 0, rows)]


def tabulate_captions(
    images: CaptionedPixels,
    keys: Tensor,
    tokenizer: Any,
    captions_per_image: int,
    seed: int,
    device: torch.device,
) -> CaptionTable:
    """Writes the captions of a pool, and tokenises each different one once.

    Args:
        images: whose captions they are.
        keys: (P, K) int64.
        tokenizer: see `stablerep.models.tokenizer.build_tokenizer`.
        captions_per_image: of a stream's image.
        seed: of the draws.
        device: of the table.
    """
    rng = numpy_generator(seed, "captions")
    row_of = {"": 0}
    rows = [
        [row_of.setdefault(text, len(row_of)) for text in images.captions_of(key, captions_per_image, rng)]
        for key in keys.tolist()
    ]
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(each) for each in rows], batch_first=True)
    numbers = torch.tensor([len(each) for each in rows])
    token_ids = tokenize(tokenizer, list(row_of))
    return CaptionTable(token_ids.to(device), padded.to(device), numbers.to(device))
