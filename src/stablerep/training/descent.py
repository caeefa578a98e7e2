"""What a step does to the weights: the gradients of the whole batch, and the move along them.

It runs on accelerate, so that it is on a GPU if there is one, and on every process of a launcher.
Legend: n views of this process, F features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from stablerep.collectives import sum_of_all
from stablerep.methods.local_crops import local_crop_loss
from stablerep.methods.method import Embedded
from stablerep.methods.parts import check_parts_add_up
from stablerep.storage.checkpoints import Beside
from stablerep.training.average import Average
from stablerep.training.inputs import Arm, classes_of_views, inputs_of, views_of
from stablerep.training.local_crops import check_local_crops
from stablerep.training.online_probe import build_online_probe
from stablerep.training.optimizer import build_optimizer
from stablerep.training.reading import ReadBatch
from stablerep.training.settings import TrainingSettings
from stablerep.training.speed import prepare_encoder, to_device
from stablerep.training.step import ChunkedEncoder, Networks
from stablerep.training.views import augmentations_of


@dataclass(frozen=True)
class Passes:
    """What the passes through the networks gave beside gradients, which are those of the weights.

    Attributes:
        embedded: the whole batch.
        logit_scale: None where the method has no text.
        features_nF: of this process's views, without those of its local crops.
        measured: scalars on the device: the parts of the loss, `loss` and `grad_norm`, of the whole batch.
    """

    embedded: Embedded
    logit_scale: Tensor | None
    features_nF: Tensor
    measured: dict[str, Tensor]


class Descent:
    """The networks of an arm and all that moves with them: optimiser, average and online probe.

    Args:
        accelerator: that started or joined the processes.
        arm: method, images and seed.
        networks: on the CPU; they are moved to the accelerator's device.
        settings: of the training.
        tokenize: maps captions to ids, for methods that use text.

    Raises:
        ConfigError: the encoder does not take local crops, or cannot checkpoint its gradients.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        arm: Arm,
        networks: Networks,
        settings: TrainingSettings,
        tokenize: Callable[[list[str]], Tensor] | None,
    ) -> None:
        self.accelerator, self.arm, self.networks = accelerator, arm, networks
        self.settings, self.tokenize = settings, tokenize
        self._parts_are_checked = accelerator.num_processes == 1  # one process has the whole loss
        check_local_crops(arm.name, arm.method, networks.encoder, settings.local_crops)
        prepare_encoder(networks.encoder, settings.speed)
        self.augment, self.augment_local = augmentations_of(settings, networks.encoder.size_px)
        optimizer = build_optimizer(networks, settings, accelerator.device)
        self.encoder, self.projector, self.optimizer = accelerator.prepare(
            networks.encoder, networks.projector, optimizer
        )
        self.average = Average(networks, settings.ema_decay)
        self.online_probe = build_online_probe(
            arm.name, arm.source, arm.held_out, networks.encoder.num_features, settings, accelerator.device
        )

    @property
    def beside(self) -> Beside | None:
        """What is trained beside the networks, for checkpoints."""
        return None if self.online_probe is None else self.online_probe.state

    def differentiate(self, read: ReadBatch) -> Passes:
        """Computes the gradients of the whole batch.

        Args:
            read: this process's part of it.

        Raises:
            ConfigError: at the first step in several processes, where the method's parts do not add up.
        """
        method, device = self.arm.method, self.accelerator.device
        local_per_image = self.settings.local_crops.per_image
        inputs = inputs_of(self.arm, read.batch, self.tokenize, device, local_per_image)
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
        parts = self._parts_of_loss(embedded, logit_scale)
        loss = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        # data parallelism takes the mean over processes of gradients; the loss is the sum of their parts
        self.accelerator.backward(loss * self.accelerator.num_processes)
        chunked.backward()
        whole = sum_of_all(torch.stack(list(parts.values())).detach())
        measured = dict(zip(parts, whole.unbind(), strict=True))
        measured |= {"loss": whole.sum(), "grad_norm": self._clip()}
        return Passes(embedded, logit_scale, features_nF[:num_views], measured)

    def move(self, step: int, read: ReadBatch, passes: Passes) -> None:
        """Moves the weights along their gradients, and what follows them.

        Args:
            step: its number, from 0.
            read: the batch that was differentiated.
            passes: its result.
        """
        self.optimizer.step()
        self.networks.bound()
        self.average.update(self.networks, step)
        if self.online_probe is not None:
            classes_n = classes_of_views(self.arm, read.batch, self.accelerator.device)
            self.online_probe.learn(passes.features_nF, classes_n, step)

    def _parts_of_loss(self, embedded: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        """Returns the terms of this process's anchors."""
        method = self.arm.method
        if not self._parts_are_checked:
            check_parts_add_up(self.arm.name, method, embedded, logit_scale)
            self._parts_are_checked = True
        parts = method(embedded, logit_scale)
        if embedded.local_kD is None:
            return parts
        assert method.temperature is not None  # noqa: S101 -- `check_local_crops` refuses a method without
        return parts | {"local_crops": local_crop_loss(embedded, method.temperature)}

    def _clip(self) -> Tensor:
        """Clips the gradients where that is asked for; returns their norm before."""
        if self.settings.max_grad_norm is not None:
            return nn.utils.clip_grad_norm_(self.networks.parameters(), self.settings.max_grad_norm)
        gradients = [each.grad for each in self.networks.parameters() if each.grad is not None]
        return nn.utils.get_total_norm(gradients)
