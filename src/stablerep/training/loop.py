"""The training loop of one arm, on accelerate, so that it runs on a GPU if there is one.

Legend: N views of a batch, M captions, D dimensions, F features.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from stablerep.collectives import sum_of_all
from stablerep.errors import ConfigError, DataError, TrainingError
from stablerep.image_sets.source import ImageSource
from stablerep.methods.local_crops import local_crop_loss
from stablerep.methods.method import Embedded, Method
from stablerep.seeding import random_states, restore_random_states, seed_everything
from stablerep.storage.checkpoints import Beside
from stablerep.training.average import Average
from stablerep.training.batches import GroupedSampler
from stablerep.training.checkpoint import Checkpoint, Progress, Row
from stablerep.training.inputs import Arm, classes_of_views, inputs_of, views_of
from stablerep.training.local_crops import check_local_crops
from stablerep.training.measured import MOST_UNSEEN, Fault, Measured
from stablerep.training.monitor import measurable_ranks, ranks_of, spread_of, warn_of_collapse
from stablerep.training.online_probe import build_online_probe
from stablerep.training.optimizer import build_optimizer
from stablerep.training.peers import Peers
from stablerep.training.probe import features_of, knn_accuracy, read_held_out
from stablerep.training.reading import ReadBatch, read_ahead
from stablerep.training.resume import resume
from stablerep.training.schedule import Schedule
from stablerep.training.settings import TrainingSettings
from stablerep.training.speed import float32_products, prepare_encoder, to_device
from stablerep.training.step import ChunkedEncoder, Networks
from stablerep.training.stop import StopSignal
from stablerep.training.views import Augmentation

logger = logging.getLogger(__name__)
_NUM_SHOWN = 20  # captions of a batch, in a message


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
        contextlib.closing(training.batches),
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
    training.average.apply_to(networks)
    networks.to("cpu")
    return training.progress.history


@dataclass(frozen=True)
class _ReadStep:
    """The images of a step.

    Attributes:
        batch: to learn from.
        held_out: for the probe; None where none is due.
    """

    batch: ReadBatch
    held_out: ImageSource | None = None


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
        self.arm, self.networks, self.settings = arm, networks, settings
        self.tokenize, self.checkpoint = tokenize, checkpoint
        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(), mixed_precision=settings.mixed_precision
        )
        sampler = _sampler_of(arm, settings, self.accelerator.num_processes)
        num_captions = arm.source.num_captions
        self.schedule = Schedule.of(settings, num_captions)
        logger.info(
            "%s: %d captions, %d views per step; %s",
            arm.name, num_captions, settings.batch.num_views, self.schedule,
        )  # fmt: skip
        check_local_crops(arm.name, arm.method, networks.encoder, settings.local_crops)
        prepare_encoder(networks.encoder, settings.speed)
        self.augment, self.augment_local = _augmentations_of(settings, networks.encoder.size_px)
        optimizer = build_optimizer(networks, settings, self.accelerator.device)
        self.encoder, self.projector, self.optimizer = self.accelerator.prepare(
            networks.encoder, networks.projector, optimizer
        )
        self.average = Average(networks, settings.ema_decay)
        self.online_probe = build_online_probe(
            arm.name, arm.source, arm.held_out, networks.encoder.num_features, settings,
            self.accelerator.device,
        )  # fmt: skip
        self.rank_measures = measurable_ranks(arm.name, arm.method, settings.rank_measures)
        self.progress = Progress()
        self.measured = Measured()
        self.looks_every = looks_every(self.accelerator.device, settings)
        self.peers = Peers(self.accelerator)
        if checkpoint is not None:
            self.progress = resume(
                checkpoint, networks, self.optimizer, self.average.weights, self.peers, self._beside()
            )
        self.num_shared = len(self.progress.unreadable)  # of the unreadable images, those all processes know
        networks.train()
        self.first = self.progress.step
        rank, num = self.accelerator.process_index, self.accelerator.num_processes
        if num > 1:  # otherwise every process would draw the same crops
            seed_everything("views", arm.seed, arm.name, rank, self.first)
        self.batches = read_ahead(arm.source, sampler.batches(self.first, rank, num), settings.num_workers)
        self.left_out: set[str] = set()
        self.started, self.waited_s = time.monotonic(), 0.0

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

    def read(self, step: int) -> "_ReadStep":
        """Reads the images of a step.

        Where a process cannot, all of them keep the state and stop: the others would wait for it in the step.

        Raises:
            DataError: a process could not read its images.
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
            self._share_unreadable()
            self.keep(last=True)
            kept = "is kept" if self.checkpoint is not None else "is lost, because no checkpoints are kept"
            raise DataError(f"arm {self.arm.name!r}: {' '.join(faults)} The state after step {step} {kept}.")
        assert read is not None  # noqa: S101 -- there was no fault
        self._add_unreadable(read.batch.unreadable)
        return read

    def _read(self, step: int) -> "_ReadStep":
        batch = next(self.batches)
        if self.arm.held_out is None or (step + 1) % self.settings.probe_every:
            return _ReadStep(batch)
        held_out, unreadable = read_held_out(self.arm.held_out)
        for fault in unreadable:
            if fault not in self.left_out:
                logger.warning("%s: %s; left out of the probes", self.arm.name, fault)
                self.left_out.add(fault)
        return _ReadStep(batch, held_out)

    def step(self, step: int, read: "_ReadStep") -> Row | None:
        """Takes a step with the images that were read for it; returns a row of the history if one is due."""
        settings, progress = self.settings, self.progress
        rate = settings.learning_rate * self.schedule.rate_factor(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        embedded, logit_scale = self._descend(step, read.batch)
        progress.step = done = step + 1
        if done % settings.log_every and done != self.schedule.num_steps:
            return None
        span = (done - 1) % settings.log_every + 1
        row = {name: value / span for name, value in progress.sums.items()}
        row |= _spread(embedded, self.arm.method, self.rank_measures)
        elapsed = time.monotonic() - self.started
        row |= {"step": done, "images": done * settings.batch.num_views, "learning_rate": rate}
        row |= {"images_per_second": (done - self.first) * settings.batch.num_views / elapsed}
        row |= {"waited_s": self.waited_s, "waited_share": self.waited_s / elapsed}
        self._share_unreadable()
        row |= {"unreadable_images": len(progress.unreadable)}
        if self.arm.method.temperature is not None:
            row["temperature"] = self.arm.method.temperature
        if logit_scale is not None:
            row["logit_scale"] = float(logit_scale.detach())
        if read.held_out is not None:
            row |= self._probe(read.held_out)
        progress.history.append(row)
        progress.sums = {}
        return row

    def _probe(self, held_out: ImageSource) -> Row:
        """Measures the encoder that would be exported."""
        size = self.settings.batch.chunk or self.settings.batch.num_views
        with self.average.in_place_of(self.networks):
            features_IF = features_of(self.networks.encoder, held_out, size)
        row = {"knn_accuracy": knn_accuracy(features_IF, held_out)}
        if self.online_probe is not None and held_out.labels is not None:
            classes_I = held_out.labels.to(features_IF.device)
            row["online_probe_accuracy"] = self.online_probe.accuracy(features_IF, classes_I)
        return row

    def _add_unreadable(self, faults: tuple[str, ...]) -> None:
        """Adds to what this process found; the reader has reported each."""
        found = self.progress.unreadable
        found += [fault for fault in faults if fault not in found]

    def _share_unreadable(self) -> None:
        """Gives each process what the others found since the last time."""
        own = self.progress.unreadable[self.num_shared :]
        for faults in self.peers.gather(own):
            self._add_unreadable(tuple(faults))
        self.num_shared = len(self.progress.unreadable)

    def _descend(self, step: int, read: ReadBatch) -> tuple[Embedded, Tensor | None]:
        """Computes the gradients of the whole batch and moves the weights."""
        method, device, batch = self.arm.method, self.accelerator.device, read.batch
        local_per_image = self.settings.local_crops.per_image
        before = _BeforeStep(self.networks) if self.looks_every == 1 else None
        inputs = inputs_of(self.arm, batch, self.tokenize, device, local_per_image)
        pixels = to_device(read.pixels, device)
        views = views_of(pixels, method.views_per_image, self.augment, local_per_image, self.augment_local)
        chunked = ChunkedEncoder(
            self.encoder,
            self.accelerator,
            views,
            self.settings.batch.chunk,
            self.settings.speed.gradient_checkpointing,
        )
        num_views = len(pixels) * method.views_per_image
        counts = (num_views, len(pixels) * local_per_image) if local_per_image else (num_views,)
        features_nF = chunked.encode(*counts)
        with self.accelerator.autocast():
            embedded, logit_scale = self.projector(features_nF, inputs)
        parts = method(embedded, logit_scale)
        if embedded.local_kD is not None:
            assert method.temperature is not None  # noqa: S101 -- `check_local_crops` refuses a method without
            parts = parts | {"local_crops": local_crop_loss(embedded, method.temperature)}
        loss = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        # data parallelism takes the mean over processes of gradients; the loss is the sum of their parts
        self.accelerator.backward(loss * self.accelerator.num_processes)
        chunked.backward()
        whole = sum_of_all(torch.stack(list(parts.values())).detach())
        measured = dict(zip(parts, whole.unbind(), strict=True))
        self.measured.add(step, batch, measured | {"loss": whole.sum(), "grad_norm": self._clip()})
        if self.is_looked_at(step + 1):
            self._look(before)
        self.optimizer.step()
        self.networks.bound()
        self.average.update(self.networks, step)
        if self.online_probe is not None:
            classes_n = classes_of_views(self.arm, batch, device)
            self.online_probe.learn(features_nF[:num_views], classes_n, step)
        return embedded, logit_scale

    def _clip(self) -> Tensor:
        """Clips the gradients where that is asked for; returns their norm before."""
        if self.settings.max_grad_norm is not None:
            return nn.utils.clip_grad_norm_(self.networks.parameters(), self.settings.max_grad_norm)
        gradients = [each.grad for each in self.networks.parameters() if each.grad is not None]
        return nn.utils.get_total_norm(gradients)

    def is_looked_at(self, done: int) -> bool:
        """Returns whether the host waits for the device after `done` steps, to read what it measured."""
        last = done == self.schedule.num_steps
        return last or done % self.looks_every == 0 or done % self.settings.log_every == 0

    def _look(self, before: "_BeforeStep | None") -> None:
        """Reads what was measured since the last look; raises TrainingError where it is not finite."""
        fault = self.measured.move_to(self.progress)
        if fault is not None:
            if before is not None:
                before.restore()
            raise self._not_finite(fault, kept=before is not None)

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
        averages, beside = self.average.weights, self._beside()
        checkpoint.keep(self.networks, self.optimizer, self.progress, averages, beside)

    def _beside(self) -> Beside | None:
        """Returns what is trained beside the networks, for checkpoints."""
        return None if self.online_probe is None else self.online_probe.state

    def _not_finite(self, fault: Fault, kept: bool) -> TrainingError:
        """Keeps the state before the step where it is still there, and returns the error."""
        if kept and self.checkpoint is not None and self.accelerator.is_main_process:
            self._write_checkpoint(self.checkpoint)
        batch = fault.batch
        texts = [self.arm.source.texts[row] for row in batch.text_rows.tolist()]
        told = f"The batch's captions are {texts[:_NUM_SHOWN]}."
        if self.checkpoint is not None:
            part = self.accelerator.process_index
            names = [self.arm.source.images.name_of(row) for row in batch.image_rows.tolist()]
            listed = self.checkpoint.write_batch(fault.step, part, names, texts)
            newest = self.checkpoint.newest()
            state = f"The newest state before it is kept in {newest}" if newest else "No state is kept yet"
            told = f"{state}, the batch's images in {listed}."
        return TrainingError(
            f"arm {self.arm.name!r}: got a loss of {fault.loss} and a gradient of norm {fault.grad_norm} at "
            f"step {fault.step}; must be finite. {told} Lower training.learning_rate, or set "
            "training.max_grad_norm: the arm then starts from the beginning."
        )


def looks_every(device: torch.device, settings: TrainingSettings) -> int:
    """Returns after how many steps the host reads what they measured: a CPU is not waited for, a GPU is."""
    return 1 if device.type == "cpu" else min(settings.log_every, MOST_UNSEEN)


class _BeforeStep:
    """The state that a step changes before its loss is known: BatchNorm's statistics, and random states."""

    def __init__(self, networks: nn.Module) -> None:
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in networks.buffers()]
        self._random_states = random_states()

    def restore(self) -> None:
        for buffer, value in self._buffers:
            buffer.copy_(value)
        restore_random_states(self._random_states)


def _sampler_of(arm: Arm, settings: TrainingSettings, num_processes: int) -> GroupedSampler:
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


def _augmentations_of(settings: TrainingSettings, size_px: int) -> tuple[Augmentation, Augmentation | None]:
    """Returns what draws the views, and what draws local crops, where there are any."""
    augment, local = Augmentation(settings.augmentation, size_px), settings.local_crops
    if not local.per_image:
        return augment, None
    crop = (local.min_crop, local.max_crop)
    return augment, Augmentation(settings.augmentation, local.size_px or size_px, crop)


def _spread(embedded: Embedded, method: Method, rank_measures: tuple[str, ...]) -> Row:
    watched = embedded.z_ND if method.uses_head else embedded.image_ND
    assert watched is not None  # noqa: S101 -- a method without a head has image_ND
    return spread_of(watched.detach()) | ranks_of(watched.detach(), embedded.labels_N, rank_measures)
