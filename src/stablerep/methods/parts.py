"""Checks that the parts of a loss that several processes compute add up to the loss of one process.

Each process has the embeddings of the whole batch and computes the terms of its own anchors. A method that
reads every row instead, or takes the mean over its anchors, is right in one process and too large by their
number in several; one that finds positives by their places is wrong there, because the rows of a process
stand together. Neither shows in the training, so a small random batch is computed both ways.

Legend: N views of the batch, M captions, D dimensions.
"""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from stablerep.errors import ConfigError
from stablerep.methods.method import Embedded, Method
from stablerep.seeding import random_states, restore_random_states, torch_generator

_NUM_PROCESSES, _NUM_CAPTIONS = 2, 3  # captions of each
_NUM_CLASSES = 2
_TOLERANCE = 1e-3  # relative; float32 sums in another order differ by 1e-6


def check_parts_add_up(arm: str, method: Method, like: Embedded, logit_scale: Tensor | None) -> None:
    """Compares the loss of a small batch in one process with the sum over two processes.

    Args:
        arm: its name.
        method: of the arm; random states are afterwards what they were.
        like: a batch whose dimensions and device the small one gets.
        logit_scale: of the text tower, or None.

    Raises:
        ConfigError: they differ.
    """
    states = random_states()
    with torch.no_grad():
        whole = _random_batch(method, like)
        expected = {name: float(part) for name, part in method(whole, logit_scale).items()}
        parts = [method(part, logit_scale) for part in _split(method, whole)]
    restore_random_states(states)
    found = {name: sum(float(part[name]) for part in parts) for name in parts[0]}
    for name, value in expected.items():
        given = torch.tensor([found.get(name, torch.nan), value])
        if not torch.isclose(given[0], given[1], rtol=_TOLERANCE, atol=1e-6):
            raise ConfigError(
                f"arm {arm!r}: its method, {type(method).__name__}, cannot be trained in several processes: "
                f"{name!r} of a small batch is {value:.4g} in one process, and {given[0]:.4g} in two. It "
                "must sum over the rows batch.anchors (of texts, batch.text_anchors), divide by the number "
                "of rows of all processes, and find positives by labels_N, as "
                "stablerep.methods.multi_positive does. Change it, or train this arm in one process."
            )


def _random_batch(method: Method, like: Embedded) -> Embedded:
    """Returns a batch with its rows in the order of one process: all images in one view, then in the next."""
    generator = torch_generator("parts of a loss")
    num_captions = _NUM_PROCESSES * _NUM_CAPTIONS

    def unit(num: int, as_in: Tensor) -> Tensor:
        drawn = F.normalize(torch.randn(num, as_in.shape[1], generator=generator), dim=1)
        return drawn.to(as_in.device, as_in.dtype)

    captions = torch.arange(num_captions).repeat_interleave(method.images_per_caption)
    images = torch.arange(len(captions))
    labels = images if method.views_per_image > 1 else captions
    if method.uses_labels:
        labels = captions % _NUM_CLASSES
    num_views = len(images) * method.views_per_image
    device = like.labels_N.device
    batch = Embedded(unit(num_views, like.z_ND), labels.repeat(method.views_per_image).to(device))
    if like.image_ND is None or like.text_MD is None:
        return batch
    return replace(
        batch,
        image_ND=unit(num_views, like.image_ND),
        text_MD=unit(num_captions, like.text_MD),
        caption_N=captions.repeat(method.views_per_image).to(device),
    )


def _split(method: Method, whole: Embedded) -> list[Embedded]:
    """Returns what each process has: the whole batch with its rows process by process, and its anchors."""
    num = len(whole.labels_N) // _NUM_PROCESSES
    rows = torch.arange(len(whole.labels_N), device=whole.labels_N.device)
    # (views, processes, images of one)
    order_N = rows.reshape(method.views_per_image, _NUM_PROCESSES, -1).transpose(0, 1).reshape(-1)
    gathered = replace(
        whole,
        z_ND=whole.z_ND[order_N],
        labels_N=whole.labels_N[order_N],
        image_ND=None if whole.image_ND is None else whole.image_ND[order_N],
        caption_N=None if whole.caption_N is None else whole.caption_N[order_N],
    )
    return [
        replace(
            gathered,
            anchors=slice(rank * num, (rank + 1) * num),
            text_anchors=slice(rank * _NUM_CAPTIONS, (rank + 1) * _NUM_CAPTIONS),
        )
        for rank in range(_NUM_PROCESSES)
    ]
