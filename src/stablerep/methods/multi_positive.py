"""The multi-positive contrastive loss (arXiv:2306.00984, section 3.2), in two forms of one value.

The dense form is the reference, written to be read. The tiled one holds no N x N matrix: the positives of an
anchor enter through the sum of its group, and the log-sum-exp over all candidates is streamed.
Legend: N anchors, G groups of equal labels, D dimensions.
"""

import torch
from torch import Tensor

from stablerep.errors import check_range
from stablerep.methods.streamed import streamed_logsumexp


def multi_positive_loss(
    z_ND: Tensor, labels_N: Tensor, temperature: float, tile: int | None = None
) -> Tensor:
    """Cross-entropy between the softmax over all other embeddings and the uniform law of positives.

    For an anchor i, candidates are all j != i; p is uniform over those with the anchor's label; the loss
    is the mean over anchors of H(p, q), q = softmax(z_i . z_j / temperature).

    Labels decide, not positions: equal labels are positives wherever they stand in the batch. An anchor
    without a positive adds nothing and is not counted in the mean (the authors' code counts it as zero).

    Args:
        z_ND: (N, D), unit length; computed in float32 also under autocast.
        labels_N: (N,) integers.
        temperature: > 0.
        tile: anchors and candidates of which similarities are held at once; None holds them all.

    Returns:
        A scalar; zero, with a gradient of zero, where no anchor has a positive.

    Raises:
        ConfigError: the temperature or the tile is not positive.
        ValueError: the shapes do not fit.
    """
    _check(z_ND, labels_N, temperature)
    if tile is not None:
        return _tiled_loss(z_ND, labels_N, temperature, tile)
    with torch.autocast(z_ND.device.type, enabled=False):
        z_ND = at_least_float32(z_ND)
        logits_NN = z_ND @ z_ND.T / temperature
        self_NN = torch.eye(len(z_ND), dtype=torch.bool, device=z_ND.device)
        positive_NN = (labels_N[:, None] == labels_N[None, :]) & ~self_NN
        log_sum_N = logits_NN.masked_fill(self_NN, -torch.inf).logsumexp(dim=1)
        count_N = positive_NN.sum(dim=1)
        positive_N = (logits_NN * positive_NN).sum(dim=1) / count_N.clamp(min=1)
        has_positive_N = count_N > 0
        loss_N = torch.where(has_positive_N, log_sum_N - positive_N, torch.zeros_like(positive_N))
        return loss_N.sum() / has_positive_N.sum().clamp(min=1)


def _tiled_loss(z_ND: Tensor, labels_N: Tensor, temperature: float, tile: int) -> Tensor:
    with torch.autocast(z_ND.device.type, enabled=False):
        z_ND = at_least_float32(z_ND)
        group_N = _groups_of(labels_N)
        # as many groups as anchors at most: how many there are only the device knows
        size_G = torch.zeros_like(labels_N).index_add(0, group_N, torch.ones_like(labels_N))
        sum_GD = torch.zeros_like(z_ND).index_add(0, group_N, z_ND)
        count_N = size_G[group_N] - 1
        # the sum over the group without the anchor itself
        positive_N = (z_ND * (sum_GD[group_N] - z_ND)).sum(dim=1) / temperature / count_N.clamp(min=1)
        self_N = torch.arange(len(z_ND), device=z_ND.device)
        log_sum_N = streamed_logsumexp(z_ND, z_ND, z_ND.new_tensor(1 / temperature), self_N, tile)
        has_positive_N = count_N > 0
        loss_N = torch.where(has_positive_N, log_sum_N - positive_N, torch.zeros_like(positive_N))
        return loss_N.sum() / has_positive_N.sum().clamp(min=1)


def _groups_of(labels_N: Tensor) -> Tensor:
    """Returns the number of each label's group, from 0, in the order of labels.

    torch.unique does so as well, and has the host wait for a GPU to learn how many there are.
    """
    sorted_N, order_N = labels_N.sort()
    begins_N = torch.ones_like(sorted_N)
    begins_N[1:] = sorted_N[1:] != sorted_N[:-1]
    return torch.empty_like(labels_N).scatter(0, order_N, begins_N.cumsum(0) - 1)


def at_least_float32(tensor: Tensor) -> Tensor:
    """Returns halves as float32; float64 stays, so that gradients can be checked."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _check(z_ND: Tensor, labels_N: Tensor, temperature: float) -> None:
    check_range("temperature", temperature, 1e-6)
    if z_ND.ndim != 2 or labels_N.shape != z_ND.shape[:1]:
        raise ValueError(
            f"multi_positive_loss: got embeddings {tuple(z_ND.shape)} and labels "
            f"{tuple(labels_N.shape)}; must be (N, D) and (N,)"
        )
