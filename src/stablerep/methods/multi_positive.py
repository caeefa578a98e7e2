"""The multi-positive contrastive loss (arXiv:2306.00984, section 3.2), in two forms of one value.

The dense form is the reference, written to be read. The tiled one holds no N x N matrix: the positives of an
anchor enter through the sum of its group, and the log-sum-exp over all candidates is streamed.
Legend: N embeddings, A of them anchors, G groups of equal labels, D dimensions.
"""

import torch
from torch import Tensor

from stablerep.errors import check_range
from stablerep.methods.streamed import streamed_logsumexp

EVERY_ROW = slice(None)


def multi_positive_loss(
    z_ND: Tensor,
    labels_N: Tensor,
    temperature: float,
    tile: int | None = None,
    anchors: slice = EVERY_ROW,
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
        anchors: rows whose part of the loss is wanted, A of them; all rows are candidates of each.

    Returns:
        A scalar, the sum over these anchors by the number of all anchors that have a positive: the parts of
        several processes add up to the loss. Zero, with a gradient of zero, where no anchor has a positive.

    Raises:
        ConfigError: the temperature or the tile is not positive.
        ValueError: the shapes do not fit.
    """
    _check(z_ND, labels_N, temperature)
    if tile is not None:
        return _tiled_loss(z_ND, labels_N, temperature, tile, anchors)
    with torch.autocast(z_ND.device.type, enabled=False):
        z_ND = at_least_float32(z_ND)
        z_AD, labels_A, row_A, count_N = _anchors_of(z_ND, labels_N, anchors)
        logits_AN = z_AD @ z_ND.T / temperature
        self_AN = row_A[:, None] == torch.arange(len(z_ND), device=z_ND.device)
        positive_AN = (labels_A[:, None] == labels_N[None, :]) & ~self_AN
        log_sum_A = logits_AN.masked_fill(self_AN, -torch.inf).logsumexp(dim=1)
        positive_A = (logits_AN * positive_AN).sum(dim=1) / count_N[anchors].clamp(min=1)
        return _mean(log_sum_A - positive_A, count_N, anchors)


def _tiled_loss(z_ND: Tensor, labels_N: Tensor, temperature: float, tile: int, anchors: slice) -> Tensor:
    with torch.autocast(z_ND.device.type, enabled=False):
        z_ND = at_least_float32(z_ND)
        z_AD, _, row_A, count_N = _anchors_of(z_ND, labels_N, anchors)
        group_N = groups_of(labels_N)
        # as many groups as rows at most: how many there are only the device knows
        sum_GD = torch.zeros_like(z_ND).index_add(0, group_N, z_ND)
        # the sum over the group without the anchor itself
        positive_A = (z_AD * (sum_GD[group_N[anchors]] - z_AD)).sum(dim=1)
        positive_A = positive_A / temperature / count_N[anchors].clamp(min=1)
        log_sum_A = streamed_logsumexp(z_AD, z_ND, z_ND.new_tensor(1 / temperature), row_A, tile)
        return _mean(log_sum_A - positive_A, count_N, anchors)


def _anchors_of(z_ND: Tensor, labels_N: Tensor, anchors: slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the anchors' embeddings, labels and rows, and of every row the number of its positives."""
    group_N = groups_of(labels_N)
    size_G = torch.zeros_like(labels_N).index_add(0, group_N, torch.ones_like(labels_N))
    rows_N = torch.arange(len(z_ND), device=z_ND.device)
    return z_ND[anchors], labels_N[anchors], rows_N[anchors], size_G[group_N] - 1


def _mean(loss_A: Tensor, count_N: Tensor, anchors: slice) -> Tensor:
    has_positive_N = count_N > 0
    loss_A = torch.where(has_positive_N[anchors], loss_A, torch.zeros_like(loss_A))
    return loss_A.sum() / has_positive_N.sum().clamp(min=1)


def groups_of(labels_N: Tensor) -> Tensor:
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
