"""How a step is computed on a device: the settings `training.speed`, and copies that no one waits for."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from stablerep.models.encoder import Encoder
from stablerep.training.settings import SpeedSettings

logger = logging.getLogger(__name__)


def prepare_encoder(encoder: Encoder, speed: SpeedSettings) -> None:
    """Lays out, checkpoints and compiles the encoder in place; the names of its weights stay.

    Args:
        encoder: before it is wrapped for several processes.
        speed: what is asked for.

    Raises:
        ConfigError: the encoder cannot checkpoint its gradients.
    """
    if speed.gradient_checkpointing:
        encoder.checkpoint_gradients()
    if speed.channels_last:
        encoder.to(memory_format=torch.channels_last)
    if speed.compile:
        logger.info("the encoder is compiled during the first step: about a minute")
        # dropout drawn as without compiling: both passes of a chunk must draw the same
        encoder.compile(options={"fallback_random": True})


@contextmanager
def float32_products(tf32: bool) -> Iterator[None]:
    """Sets how a GPU multiplies float32, in matrix products and convolutions, and sets it back afterwards.

    torch's own default is TF32 in convolutions alone.
    """
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = tf32
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copies a tensor of the CPU to the device; a GPU's work goes on meanwhile: the source is page-locked."""
    if device.type != "cuda":
        return tensor.to(device)
    return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)
