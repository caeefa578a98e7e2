"""Floating point operations: what an encoder takes, and what a device gives."""

import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from stablerep.models.encoder import Encoder


def flops_of(encoder: Encoder, size: int) -> float:
    """Returns floating point operations of one image's forward pass, counted on the encoder's device."""
    device = next(encoder.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(torch.zeros(2, 3, size, size, device=device))
    return counter.get_total_flops() / 2


def peak_flops(device: torch.device, side: int, repeats: int) -> float:
    """Returns operations a second of a product of two square bf16 matrices, the best of five measurements.

    Args:
        device: whose peak.
        side: of the matrices; 8192 fills a GPU.
        repeats: products of each measurement.
    """
    a, b = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    a @ b
    seconds = []
    for _ in range(5):
        wait_for(device)
        started = time.monotonic()
        for _ in range(repeats):
            a @ b
        wait_for(device)
        seconds.append((time.monotonic() - started) / repeats)
    return 2 * side**3 / min(seconds)


def wait_for(device: torch.device) -> None:
    """Waits until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()
