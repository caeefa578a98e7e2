"""Reads the images of each step in all processes, and stops all of them where one cannot."""

import logging
import time
from dataclasses import dataclass

from stablerep.errors import ConfigError, DataError
from stablerep.image_sets.source import ImageSource
from stablerep.training.batches import GroupedSampler
from stablerep.training.checkpoint import Progress
from stablerep.training.inputs import Arm
from stablerep.training.peers import Peers
from stablerep.training.probe import read_held_out
from stablerep.training.reading import ReadBatch, read_ahead
from stablerep.training.settings import TrainingSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadStep:
    """The images of a step.

    Attributes:
        batch: to learn from.
        held_out: for the probe; None where none is due.
    """

    batch: ReadBatch
    held_out: ImageSource | None = None


class SharedReading:
    """This process's part of the images, in the order of the sampler.

    Args:
        arm: whose images.
        settings: how often a probe is due, and how many processes decode.
        sampler: of the whole batches.
        peers: the processes.
        progress: of the training: it says where to begin, and gets the unreadable images.

    Attributes:
        waited_s: seconds in which the training waited for images.
    """

    def __init__(
        self,
        arm: Arm,
        settings: TrainingSettings,
        sampler: GroupedSampler,
        peers: Peers,
        progress: Progress,
    ) -> None:
        self.arm, self.settings, self.peers, self.progress = arm, settings, peers, progress
        own = sampler.batches(progress.step, peers.rank, peers.num)
        self._batches = read_ahead(arm.source, own, settings.num_workers)
        self._num_shared = len(progress.unreadable)  # of the unreadable images, those all processes know
        self._left_out: set[str] = set()
        self.waited_s = 0.0

    def close(self) -> None:
        """Ends the processes that decode."""
        self._batches.close()

    def read(self, step: int) -> ReadStep:
        """Reads the images of a step; each process must call it.

        Raises:
            DataError: a process could not read its images; all of them raise it, and none waits in the step.
        """
        read, fault = None, ""
        asked = time.monotonic()
        try:
            read = self._read(step)
        except DataError as error:
            fault = f"{self.peers.place}: {error}" if self.peers.num > 1 else str(error)
        self.waited_s += time.monotonic() - asked
        if self.peers.any(bool(fault)):
            faults = [each for each in self.peers.gather(fault) if each]
            self.share_unreadable()
            raise DataError(" ".join(faults))
        assert read is not None  # noqa: S101 -- there was no fault
        self._add_unreadable(read.batch.unreadable)
        return read

    def share_unreadable(self) -> None:
        """Gives each process what the others found since the last time; each must call it."""
        own = self.progress.unreadable[self._num_shared :]
        for faults in self.peers.gather(own):
            self._add_unreadable(tuple(faults))
        self._num_shared = len(self.progress.unreadable)

    def _read(self, step: int) -> ReadStep:
        batch = next(self._batches)
        if self.arm.held_out is None or (step + 1) % self.settings.probe_every:
            return ReadStep(batch)
        held_out, unreadable = read_held_out(self.arm.held_out)
        for fault in unreadable:
            if fault not in self._left_out:
                logger.warning("%s: %s; left out of the probes", self.arm.name, fault)
                self._left_out.add(fault)
        return ReadStep(batch, held_out)

    def _add_unreadable(self, faults: tuple[str, ...]) -> None:
        """Adds to what this process found; the reader has reported each."""
        found = self.progress.unreadable
        found += [fault for fault in faults if fault not in found]


def sampler_of(arm: Arm, settings: TrainingSettings, num_processes: int) -> GroupedSampler:
    """Returns what draws an arm's batches.

    Raises:
        ConfigError: the processes cannot share a batch's captions evenly, or the views are not those of whole
            captions.
        DataError: the images do not fill a batch.
    """
    method = arm.method
    views_per_caption = method.views_per_image * method.images_per_caption
    num_captions = settings.batch.captions_of(views_per_caption, f"arm {arm.name!r}")
    if num_captions % num_processes:
        raise ConfigError(
            f"training.batch.captions: got {settings.batch.captions}, which are {num_captions} captions in "
            f"arm {arm.name!r}; must be captions for each of {num_processes} processes alike. "
            "Set it in conf/params/training/<name>.yaml."
        )
    return GroupedSampler(
        arm.source, num_captions * method.images_per_caption, method.images_per_caption, arm.seed
    )
