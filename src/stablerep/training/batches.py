"""Captioned images, and the order in which an arm sees them.

Legend: I images, T captions, B captions of a batch, m images of a caption in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from stablerep.errors import DataError
from stablerep.image_sets.source import ImageSource
from stablerep.seeding import numpy_generator


@dataclass(frozen=True)
class Batch:
    """Which images make up a step.

    Attributes:
        image_rows: (N,) int64 into the source; the images of one caption stand together.
        caption_N: (N,) int64 in 0..M-1, which caption of the batch each image has.
        text_rows: (M,) int64 into the source's texts.
        share: rank of the process whose part it is, and the number of processes.
        elsewhere: (any,) int64, rows of the captions in the parts of the other processes.
    """

    image_rows: Tensor
    caption_N: Tensor
    text_rows: Tensor
    share: tuple[int, int] = (0, 1)
    elsewhere: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))


MIN_IMAGES = 2  # of a caption whose images are to be positives of each other


class GroupedSampler:
    """Draws captions without replacement, and images of each.

    The captions of an epoch are a function of (seed, epoch), the images of one of (seed, epoch, caption).

    A caption with fewer than m images, because some were rejected, shows each of them and some of them again,
    in views of their own: left out, three rejected images would cost three captions. One that has a single
    image where m is larger has no positive, and is left out.

    Args:
        source: the images.
        num_images: N, of a batch, without views.
        images_per_caption: m.
        seed: of the order.
    """

    def __init__(self, source: ImageSource, num_images: int, images_per_caption: int, seed: int) -> None:
        """Groups the images; raises DataError where a batch cannot be filled."""
        self.images_per_caption = images_per_caption
        self.num_captions = num_images // images_per_caption
        self.seed = seed
        rows = source.caption_rows.numpy()
        order = np.argsort(rows, kind="stable")
        captions, starts = np.unique(rows[order], return_index=True)
        groups = np.split(order, starts[1:])
        fewest = min(images_per_caption, MIN_IMAGES)
        full = [i for i, group in enumerate(groups) if len(group) >= fewest]
        self.captions = captions[full]
        self.groups = [groups[i] for i in full]
        if len(self.groups) < self.num_captions or not self.num_captions:
            raise DataError(
                f"image source {source.name!r}: got {len(self.groups)} captions with at least "
                f"{fewest} images; must be at least {self.num_captions} to fill a batch. "
                "Add captions, or set a smaller training.batch.captions."
            )

    def batches(self, first: int = 0, rank: int = 0, num_processes: int = 1) -> Iterator[Batch]:
        """Yields batches without end, epoch after epoch; an epoch's incomplete last batch is left out.

        Images are drawn for the captions of one process alone; they are those of the whole batch.

        Args:
            first: number of the batch to begin with; those before it are not drawn.
            rank: of the process whose captions, with their images, are wanted.
            num_processes: among which a batch's captions divide evenly.
        """
        epoch, number = divmod(first, len(self.groups) // self.num_captions)
        share = self.num_captions // num_processes
        while True:
            order = numpy_generator("batches", self.seed, epoch).permutation(len(self.groups))
            while (number + 1) * self.num_captions <= len(order):
                whole = order[number * self.num_captions : (number + 1) * self.num_captions]
                own = slice(rank * share, (rank + 1) * share)
                elsewhere = torch.from_numpy(self.captions[np.delete(whole, own)])
                batch = self._batch(whole[own], epoch)
                yield replace(batch, share=(rank, num_processes), elsewhere=elsewhere)
                number += 1
            epoch, number = epoch + 1, 0

    def _batch(self, chosen: np.ndarray, epoch: int) -> Batch:
        m, captions = self.images_per_caption, self.captions[chosen]
        rows = [
            _draw(self.groups[group], m, numpy_generator("images", self.seed, epoch, int(caption)))
            for group, caption in zip(chosen, captions, strict=True)
        ]
        return Batch(
            torch.from_numpy(np.concatenate(rows)),
            torch.arange(len(chosen)).repeat_interleave(m),
            torch.from_numpy(captions),
        )


def _draw(group: np.ndarray, num: int, rng: np.random.Generator) -> np.ndarray:
    """Draws `num` of a caption's images; no image is drawn again before all others were."""
    first = rng.choice(group, size=min(num, len(group)), replace=False)
    if len(first) == num:
        return first
    return np.concatenate([first, rng.choice(group, size=num - len(first), replace=num > 2 * len(group))])
