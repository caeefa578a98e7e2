"""Reads batches ahead of the step, in processes of their own where wanted; the order stays the sampler's.

Legend: N images of a batch.
"""

import logging
import signal
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from stablerep.errors import DataError
from stablerep.image_sets.source import ImageSource
from stablerep.processes import log_to_terminal
from stablerep.storage.pixels import UnreadableImageError
from stablerep.training.batches import MIN_IMAGES, Batch

logger = logging.getLogger(__name__)
MAX_TRIED = 10  # captions in the place of one; where all are damaged, so is the set


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


class BatchReader(Dataset["ReadBatch | DataError"]):
    """Reads the images of a batch.

    A damaged image is replaced by another of its caption; a caption of which every image is damaged, by one
    of the next `MAX_TRIED` captions that are not in the batch. Processes share these out, so that no two
    choose the same. Each damaged image is reported once, when it is met.
    """

    def __init__(self, source: ImageSource) -> None:
        """Takes the source."""
        self.source = source
        self._reported: set[str] = set()

    def __getitem__(self, batch: Batch) -> "ReadBatch | DataError":
        """Reads a batch; returns the error, for a process that decodes cannot raise it as it is."""
        try:
            return self._read_batch(batch)
        except DataError as error:
            return error

    def _read_batch(self, batch: Batch) -> ReadBatch:
        images: list[Tensor] = []
        rows: list[int] = []
        faults: list[str] = []
        text_rows = batch.text_rows.clone()
        for place, text_row in enumerate(batch.text_rows.tolist()):
            # the images of one caption stand together, and captions in their order
            wanted = batch.image_rows[batch.caption_N == place].tolist()
            read = self._read_caption(text_row, wanted, faults)
            if read is None:
                others = self._other_captions(text_row, len(wanted), batch, text_rows)
                text_rows[place], read = self._read_another(text_row, len(wanted), others, faults)
            images += [image for _, image in read]
            rows += [row for row, _ in read]
        read_batch = replace(batch, image_rows=torch.tensor(rows), text_rows=text_rows)
        return ReadBatch(read_batch, torch.stack(images), tuple(dict.fromkeys(faults)))

    def _read_caption(
        self, text_row: int, wanted: list[int], faults: list[str]
    ) -> list[tuple[int, Tensor]] | None:
        """Reads images of a caption, others of it in the place of unreadable ones; None where none can be."""
        read = []
        for row in wanted:
            try:
                read.append((row, self.source.images.read(row)))
                continue
            except UnreadableImageError as error:
                self._report(error, faults)
            found = self._first_readable(self._others(text_row, row), faults)
            if found is None:
                return None
            read.append(found)
        return read

    def _other_captions(self, text_row: int, num: int, batch: Batch, taken: Tensor) -> list[int]:
        """Returns the next captions that may take the place of one, as many as are tried.

        Args:
            text_row: of the caption.
            num: its images in the batch: one with a single image has no positive where more are wanted.
            batch: says which captions the other processes have, and which this one may choose.
            taken: rows of the captions that this process has by now.
        """
        captions, counts = self._captions
        rank, num_processes = batch.share
        own = np.arange(len(captions)) % num_processes == rank
        free = captions[own & (counts >= min(num, MIN_IMAGES))]
        free = free[~np.isin(free, torch.cat([taken, batch.text_rows, batch.elsewhere]).numpy())]
        return np.roll(free, -int(np.searchsorted(free, text_row)))[:MAX_TRIED].tolist()

    @cached_property
    def _captions(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the captions with images, rising, and how many images each has."""
        return np.unique(self.source.caption_rows.numpy(), return_counts=True)

    def _read_another(
        self, text_row: int, num: int, others: list[int], faults: list[str]
    ) -> tuple[int, list[tuple[int, Tensor]]]:
        """Reads as many images of the first of other captions of which one can be read."""
        for other in others:
            own = np.flatnonzero(self.source.caption_rows.numpy() == other)
            read = self._read_caption(other, np.resize(own, num).tolist(), faults)
            if read is not None:
                return other, read
        raise DataError(
            f"image source {self.source.name!r}: no image of the caption {self.source.texts[text_row]!r} can "
            f"be read, and none of the next {len(others)} captions that could take its place: "
            f"{'; '.join(faults[:3])}. Run `kedro run --pipelines image_sets`: it makes damaged images again."
        )

    def _first_readable(self, rows: Iterable[int], faults: list[str]) -> tuple[int, Tensor] | None:
        for row in rows:
            try:
                return row, self.source.images.read(row)
            except UnreadableImageError as error:
                self._report(error, faults)
        return None

    def _report(self, error: UnreadableImageError, faults: list[str]) -> None:
        fault = str(error)
        faults.append(fault)
        if fault not in self._reported:
            logger.warning("image source %r: %s; another takes its place", self.source.name, fault)
            self._reported.add(fault)

    def _others(self, text_row: int, row: int) -> Iterator[int]:
        """Yields the other images of its caption, the next in order first; looked for when one is needed."""
        same = np.flatnonzero(self.source.caption_rows.numpy() == text_row)
        place = int(np.searchsorted(same, row))
        yield from (int(each) for each in np.roll(same, -place)[1:])


def read_ahead(
    source: ImageSource, batches: Iterable[Batch], num_workers: int
) -> Generator[ReadBatch, None, None]:
    """Yields batches with their pixels, in the order of `batches`.

    Args:
        source: the images.
        batches: whose rows point into it.
        num_workers: processes that decode, two batches ahead each; 0 has a thread of this process do it,
            one batch ahead.

    Raises:
        DataError: no image of a caption can be read, nor of those that could take its place.
        OutageError: the file system failed, for longer than was waited.
    """
    loader = DataLoader(
        BatchReader(source),
        sampler=batches,
        batch_size=None,
        num_workers=num_workers,
        # spawn: a fork of a process that has used torch's threads hangs
        multiprocessing_context="spawn" if num_workers else None,
        worker_init_fn=_prepare_worker if num_workers else None,
        # its own: a loader that draws from the global state would change the views of a resumed run
        generator=torch.Generator(),
        pin_memory=torch.cuda.is_available(),
    )
    for read in loader if num_workers else _one_ahead(loader):
        if isinstance(read, DataError):
            raise read
        yield read


def _prepare_worker(number: int) -> None:
    """Sets up a decoding process: it logs, and it ignores SIGTERM, which schedulers send to a group.

    The training takes the signal, keeps its state and ends them; they also end where the training died.
    """
    del number
    log_to_terminal()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _one_ahead(loader: Iterable[ReadBatch | DataError]) -> Iterator[ReadBatch | DataError]:
    """Reads the next batch while the caller works on this one."""
    batches = iter(loader)
    with ThreadPoolExecutor(1, "reading") as reader:
        ahead = reader.submit(next, batches, None)
        while (read := ahead.result()) is not None:
            ahead = reader.submit(next, batches, None)
            yield read
