"""Reads batches ahead of the step, in processes of their own where wanted; the order stays the sampler's.

Legend: N images of a batch.
"""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from stablerep.errors import DataError
from stablerep.training.batches import Batch, ImageSource
from stablerep.training.stored_images import UnreadableImageError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadBatch:
    """A batch with its pixels.

    Attributes:
        batch: with the rows of the images that were read.
        pixels: (N, 3, H, W) uint8.
        unreadable: of each image that could not be read, its name and why.
    """

    batch: Batch
    pixels: Tensor
    unreadable: tuple[str, ...] = ()

    def pin_memory(self) -> "ReadBatch":
        """Returns it with page-locked pixels, which a GPU copies faster; torch's DataLoader calls it."""
        return replace(self, pixels=self.pixels.pin_memory())


class BatchReader(Dataset[ReadBatch]):
    """Reads the images of a batch; one that cannot be read is replaced by another of its caption."""

    def __init__(self, source: ImageSource) -> None:
        """Takes the source."""
        self.source = source

    def __getitem__(self, batch: Batch) -> ReadBatch:
        """Reads a batch.

        Raises:
            DataError: a caption has no image that can be read.
        """
        images, rows, unreadable = [], [], []
        for row in batch.image_rows.tolist():
            image, taken, faults = self._read(row)
            images.append(image)
            rows.append(taken)
            unreadable += faults
        return ReadBatch(
            replace(batch, image_rows=torch.tensor(rows)), torch.stack(images), tuple(unreadable)
        )

    def _read(self, row: int) -> tuple[Tensor, int, list[str]]:
        faults: list[str] = []
        for candidate in (row, *self._others(row)):
            try:
                return self.source.images.read(candidate), candidate, faults
            except UnreadableImageError as error:
                faults.append(str(error))
        text = self.source.texts[int(self.source.caption_rows[row])]
        raise DataError(
            f"image source {self.source.name!r}: no image of the caption {text!r} can be read: "
            f"{'; '.join(faults[:3])}. Run `kedro run --pipelines generation`: what is missing or damaged is "
            "made again."
        )

    def _others(self, row: int) -> Iterator[int]:
        """Yields the other images of its caption, the next in order first; looked for when one is needed."""
        rows = self.source.caption_rows.numpy()
        same = np.flatnonzero(rows == rows[row])
        place = int(np.searchsorted(same, row))
        yield from (int(each) for each in np.roll(same, -place)[1:])


def read_ahead(source: ImageSource, batches: Iterable[Batch], num_workers: int) -> Iterator[ReadBatch]:
    """Yields batches with their pixels, in the order of `batches`.

    Args:
        source: the images.
        batches: whose rows point into it.
        num_workers: processes that decode, two batches ahead each; 0 has a thread of this process do it,
            one batch ahead.

    Raises:
        DataError: a caption has no image that can be read.
    """
    loader = DataLoader(
        BatchReader(source),
        sampler=batches,
        batch_size=None,
        num_workers=num_workers,
        # spawn: a fork of a process that has used torch's threads hangs
        multiprocessing_context="spawn" if num_workers else None,
        # its own: a loader that draws from the global state would change the views of a resumed run
        generator=torch.Generator(),
        pin_memory=torch.cuda.is_available(),
    )
    yield from loader if num_workers else _one_ahead(loader)


def _one_ahead(loader: Iterable[ReadBatch]) -> Iterator[ReadBatch]:
    """Reads the next batch while the caller works on this one."""
    batches = iter(loader)
    with ThreadPoolExecutor(1, "reading") as reader:
        ahead = reader.submit(next, batches, None)
        while (read := ahead.result()) is not None:
            ahead = reader.submit(next, batches, None)
            yield read
