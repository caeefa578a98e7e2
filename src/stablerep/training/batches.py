"""Captioned images, and the order in which an arm sees them.

Legend: I images, T captions, B captions of a batch, m images of a caption in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

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

    def part(self, rank: int, num_processes: int) -> "Batch":
        """Returns the captions, with their images, that fall to one of several processes.

        Args:
            rank: of the process.
            num_processes: among which the captions divide evenly.
        """
        if num_processes == 1:
            return self
        text_rows = self.text_rows.chunk(num_processes)[rank]
        first = rank * len(text_rows)
        mine = (self.caption_N >= first) & (self.caption_N < first + len(text_rows))
        elsewhere = torch.cat([self.text_rows[:first], self.text_rows[first + len(text_rows) :]])
        share = rank, num_processes
        return Batch(self.image_rows[mine], self.caption_N[mine] - first, text_rows, share, elsewhere)


MIN_IMAGES = 2  # of a caption whose images are to be positives of each other


class GroupedSampler:
    """Draws captions without replacement, and images of each; a function of (seed, epoch) alone.

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

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """Yields batches without end, epoch after epoch; an epoch's incomplete last batch is left out.

        Args:
            first: number of the batch to begin with; those before it are passed over.
        """
        epoch, passed = divmod(first, len(self.groups) // self.num_captions)
        while True:
            rng = numpy_generator("batches", self.seed, epoch)
            order = rng.permutation(len(self.groups))
            for number, start in enumerate(range(0, len(order) - self.num_captions + 1, self.num_captions)):
                batch = self._batch(order[start : start + self.num_captions], rng)
                if number >= passed:
                    yield batch
            epoch, passed = epoch + 1, 0

    def _batch(self, chosen: np.ndarray, rng: np.random.Generator) -> Batch:
        m = self.images_per_caption
        rows = [_draw(self.groups[group], m, rng) for group in chosen]
        return Batch(
            torch.from_numpy(np.concatenate(rows)),
            torch.arange(len(chosen)).repeat_interleave(m),
            torch.from_numpy(self.captions[chosen]),
        )


def _draw(group: np.ndarray, num: int, rng: np.random.Generator) -> np.ndarray:
    """Draws so many of a caption's images, none again before each was drawn."""
    first = rng.choice(group, size=min(num, len(group)), replace=False)
    if len(first) == num:
        return first
    return np.concatenate([first, rng.choice(group, size=num - len(first), replace=num > 2 * len(group))])
