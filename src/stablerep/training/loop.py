"""The training loop of one arm."""

import contextlib
import logging
from collections.abc import Callable, Iterator

import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from stablerep.errors import DataError
from stablerep.seeding import seed_everything
from stablerep.training.checkpoint import Checkpoint, Progress, Row
from stablerep.training.descent import Descent, Passes
from stablerep.training.inputs import Arm
from stablerep.training.measured import Measured, StateBefore, looks_every
from stablerep.training.monitor import warn_of_collapse
from stablerep.training.peers import Peers
from stablerep.training.reading import ReadBatch
from stablerep.training.resume import resume
from stablerep.training.rows import RowWriter
from stablerep.training.schedule import Schedule
from stablerep.training.settings import TrainingSettings
from stablerep.training.shared_reading import ReadStep, SharedReading, sampler_of
from stablerep.training.speed import float32_products
from stablerep.training.step import Networks
from stablerep.training.stop import StopSignal

logger = logging.getLogger(__name__)


def run_arm(
    arm: Arm,
    networks: Networks,
    settings: TrainingSettings,
    tokenize: Callable[[list[str]], Tensor] | None,
    on_row: Callable[[Row], None] | None = None,
    checkpoint: Checkpoint | None = None,
    stop: StopSignal | None = None,
) -> list[Row]:
    """Trains the networks in place, continuing where the run of this checkpoint was stopped.

    On a CPU a run that was killed and continued gives the weights of an uninterrupted one, bit for bit.

    Args:
        arm: method, images and seed.
        networks: on the CPU; on the CPU again afterwards.
        settings: steps, batches and learning rate.
        tokenize: maps captions to (M, T) ids, for methods that use text.
        on_row: called with each row of the history as it is made.
        checkpoint: where the state is kept; None keeps none.
        stop: receives the signal to stop; None for one of this call's own.

    Returns:
        The history: step, images, loss and its parts, learning_rate, grad_norm, temperature or logit_scale,
        embedding_std, effective_rank, rankme and lidar if they are asked for, images_per_second, waited_s and
        waited_share (of the time, for data), unreadable_images (found so far), knn_accuracy if a probe was
        due and online_probe_accuracy with it; where it applies, means over the steps since the row before.

    Raises:
        StoppedError: the signal came; the state is kept if there is a checkpoint.
        TrainingError: the loss is not finite, or processes do not start from one state.
        DataError: the source cannot fill a batch, images cannot be read (the state is kept if there is a
            checkpoint), or the disk refuses a checkpoint.
    """
    training = _Training(arm, networks, settings, tokenize, checkpoint)
    first = training.progress.step
    num_steps = training.schedule.num_steps
    if first:
        logger.info("%s: continues from step %d of %d", arm.name, first, num_steps)
    # closed at once: processes that decode must not outlive the loop
    with (
        contextlib.closing(training.reading),
        float32_products(settings.speed.tf32),
        stop or StopSignal() as stop,
    ):
        for step in training.shown(range(first, num_steps)):
            row = training.step(step, training.read(step))
            if row is not None:
                warn_of_collapse(arm.name, step + 1, row)
                if on_row is not None:
                    on_row(row)
            last = step + 1 == num_steps
            asked = training.asked_of_any(stop.asked)
            training.keep(last or asked)
            if asked:
                raise stop.error(arm.name, step + 1, num_steps, kept=checkpoint is not None)
    training.descent.average.apply_to(networks)
    networks.to("cpu")
    return training.progress.history


class _Training:
    """The state of a run between its steps."""

    def __init__(
        self,
        arm: Arm,
        networks: Networks,
        settings: TrainingSettings,
        tokenize: Callable[[list[str]], Tensor] | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.arm, self.networks, self.settings, self.checkpoint = arm, networks, settings, checkpoint
        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(), mixed_precision=settings.mixed_precision
        )
        sampler = sampler_of(arm, settings, self.accelerator.num_processes)
        self.schedule = Schedule.of(settings, arm.source.num_captions)
        logger.info(
            "%s: %d captions, %d views per step; %s",
            arm.name, arm.source.num_captions, settings.batch.num_views, self.schedule,
        )  # fmt: skip
        self.descent = Descent(self.accelerator, arm, networks, settings, tokenize)
        self.peers = Peers(self.accelerator)
        self.progress = self._resume()
        self.measured = Measured()
        self.looks_every = looks_every(self.accelerator.device, settings)
        networks.train()
        if self.peers.num > 1:  # otherwise every process would draw the same crops
            seed_everything("views", arm.seed, arm.name, self.peers.rank, self.progress.step)
        self.reading = SharedReading(arm, settings, sampler, self.peers, self.progress)
        self.rows = RowWriter(self.descent, self.progress.step)

    def _resume(self) -> Progress:
        if self.checkpoint is None:
            return Progress()
        descent = self.descent
        return resume(
            self.checkpoint, self.networks, descent.optimizer, descent.average.weights, self.peers,
            descent.beside,
        )  # fmt: skip

    def shown(self, steps: range) -> Iterator[int]:
        """Yields the steps, with a progress bar if standard error is a terminal."""
        hidden = None if self.accelerator.is_main_process else True  # None: hidden if it is not a terminal
        with logging_redirect_tqdm(), tqdm(total=self.schedule.num_steps, disable=hidden) as bar:
            bar.set_description(self.arm.name)
            bar.update(steps.start)
            for step in steps:
                yield step
                bar.update()
                if self.progress.history:
                    bar.set_postfix(loss=self.progress.history[-1]["loss"], refresh=False)

    def read(self, step: int) -> ReadStep:
        """Reads the images of a step.

        Raises:
            DataError: a process could not; all of them have kept the state.
        """
        try:
            return self.reading.read(step)
        except DataError as error:
            self.keep(last=True)
            kept = "is kept" if self.checkpoint is not None else "is lost, because no checkpoints are kept"
            raise DataError(f"arm {self.arm.name!r}: {error} The state after step {step} {kept}.") from error

    def step(self, step: int, read: ReadStep) -> Row | None:
        """Takes a step with the images that were read for it; returns a row of the history if one is due."""
        progress = self.progress
        rate = self.settings.learning_rate * self.schedule.rate_factor(step)
        for group in self.descent.optimizer.param_groups:
            group["lr"] = rate
        passes = self._descend(step, read.batch)
        progress.step = done = step + 1
        if done % self.settings.log_every and done != self.schedule.num_steps:
            return None
        self.reading.share_unreadable()
        row = self.rows.row_of(progress, rate, self.reading.waited_s, passes, read.held_out)
        progress.history.append(row)
        progress.sums = {}
        return row

    def _descend(self, step: int, read: ReadBatch) -> Passes:
        """Moves the weights, unless what was measured by then is not finite."""
        before = StateBefore(self.networks) if self.looks_every == 1 else None
        passes = self.descent.differentiate(read)
        self.measured.add(step, read.batch, passes.measured)
        if self.is_looked_at(step + 1):
            self._look(before)
        self.descent.move(step, read, passes)
        return passes

    def is_looked_at(self, done: int) -> bool:
        """Returns whether the host waits for the device after `done` steps, to read what it measured."""
        last = done == self.schedule.num_steps
        return last or done % self.looks_every == 0 or done % self.settings.log_every == 0

    def _look(self, before: StateBefore | None) -> None:
        """Reads what was measured since the last look; raises TrainingError where it is not finite.

        Args:
            before: the state before this step, where the host looks at each; it is kept.
        """
        fault = self.measured.move_to(self.progress)
        if fault is None:
            return
        if before is not None:
            before.restore()
            if self.checkpoint is not None and self.accelerator.is_main_process:
                self._write_checkpoint(self.checkpoint)
        raise fault.error(self.arm, self.checkpoint, self.peers.rank)

    def asked_of_any(self, asked: bool) -> bool:
        """Returns whether any process is asked to stop: all must stop after the same step.

        Several processes ask each other when they look at what they measured.
        """
        if self.peers.num == 1:
            return asked
        return self.is_looked_at(self.progress.step) and self.peers.any(asked)

    def keep(self, last: bool) -> None:
        """Writes a checkpoint if one is due, or if it is the last; none after a step that was not finite."""
        if self.checkpoint is None or not self.accelerator.is_main_process:
            return
        due = last or self.checkpoint.is_due(self.progress.step)
        if due and self.measured.move_to(self.progress) is None:
            self._write_checkpoint(self.checkpoint)

    def _write_checkpoint(self, checkpoint: Checkpoint) -> None:
        descent = self.descent
        checkpoint.keep(
            self.networks, descent.optimizer, self.progress, descent.average.weights, descent.beside
        )
