"""What a process logs while it draws: a forecast from its first batch, then a line every minute.

A shard takes hours, a batch of large images on a CPU minutes: so a batch that takes longer than a minute is
reported by its steps.
"""

import logging
import time

from stablerep.generation.accounts.ledger import duration

logger = logging.getLogger(__name__)
LOG_EVERY_S = 60.0


class Outlook:
    """The forecast of a process: how long all images of the run take, from the first batch that it times.

    Args:
        num_images: that the run draws in all processes.
        num_processes: that draw; None where it is not known.
        num_skipped: batches that are not timed, because the network is compiled during them.
    """

    def __init__(self, num_images: int, num_processes: int | None, num_skipped: int = 0) -> None:
        self._num_images, self._num_processes, self._num_skipped = num_images, num_processes, num_skipped
        self.is_told = False

    def batch(self, num_images: int, seconds: float) -> None:
        """Takes a batch that was drawn; logs the forecast after the first one that counts."""
        if self.is_told:
            return
        if self._num_skipped:
            self._num_skipped -= 1
            took = duration(seconds)
            logger.info("a first batch of %d images took %s, compiling included", num_images, took)
            return
        self.is_told = True
        said = self.forecast(num_images / max(seconds, 1e-6))
        logger.info("a batch of %d images took %s: %s", num_images, duration(seconds), said)

    def forecast(self, images_per_second: float) -> str:
        """Returns how long the run's images take at this rate of one process."""
        num = self._num_processes
        seconds = self._num_images / images_per_second / (num or 1)
        by = "in one process" if num is None else f"in {num} process{'' if num == 1 else 'es'}"
        return f"about {duration(seconds)} for the run's {self._num_images:,} images {by}"


class ShardProgress:
    """The progress of one shard.

    Args:
        name: of the shard.
        num_images: that are drawn for it.
        outlook: of the process.
    """

    def __init__(self, name: str, num_images: int, outlook: Outlook) -> None:
        self._name, self._num_images, self._outlook = name, num_images, outlook
        self._num_done = 0
        self._started = self._logged = self._batch_started = time.monotonic()
        self._first_step_ended = 0.0

    def add_step(self, step: int, num_steps: int, num_images: int) -> None:
        """Takes a step of a batch that was computed.

        Args:
            step: its number, from 1.
            num_steps: of the batch.
            num_images: of the batch.
        """
        now = time.monotonic()
        if step == 1:
            self._first_step_ended = now
        if now - self._logged < LOG_EVERY_S or step == num_steps:
            return
        self._logged = now
        said = ""
        if step > 1 and not self._outlook.is_told:
            # the first step also chooses kernels, or compiles
            of_a_batch = num_steps * (now - self._first_step_ended) / (step - 1)
            said = f": {self._outlook.forecast(num_images / max(of_a_batch, 1e-6))}"
        logger.info(
            "%s: step %d of %d of a batch of %d images%s", self._name, step, num_steps, num_images, said
        )

    def add(self, num_images: int) -> None:
        """Takes a batch that was drawn."""
        now = time.monotonic()
        self._num_done += num_images
        self._outlook.batch(num_images, now - self._batch_started)
        self._batch_started = now
        if now - self._logged < LOG_EVERY_S or self._num_done == self._num_images:
            return
        self._logged = now
        rate = self._num_done / max(1e-6, now - self._started)
        logger.info(
            "%s: %d of %d images drawn, %.1f images/s in this process, about %s left of this file",
            self._name, self._num_done, self._num_images, rate,
            duration((self._num_images - self._num_done) / rate),
        )  # fmt: skip
