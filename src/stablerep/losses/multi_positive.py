"""The multi-positive contrastive loss (arXiv:2306.00984, section 3.2), dense form.

Legend: N anchors, M candidates, D dimensions.
"""

import torch
from torch import Tensor

from stablerep.errors import check_range


def multi_positive_loss(z_ND: Tensor, labels_N: Tensor, temperature: float) -> Tensor:
    """Cross-entropy between the softmax over all other embeddings and the uniform law of positives.

    For an anchor i, candidates are all j != i; p is uniform over those with the anchor's label; the loss
    is the mean over anchors of H(p, q), q = softmax(z_i . z_j / temperature).

    Labels decide, not positions: equal labels are positives wherever they stand in the batch. An anchor
    without a positive adds nothing and is not counted in the mean (the authors' code counts it as zero).

    Args:
        z_ND: (N, D), unit length; computed in float32 also under autocast.
        labels_N: (N,) integers.
        temperature: > 0.

    Returns:
        A scalar; zero, with a gradient of zero, where no anchor has a positive.

    Raises:
        ConfigError: the temperature is not positive.
        ValueError: the shapes do not fit.
    """
    check_range("method.temperature", temperature, 1e-6)
    if z_ND.ndim != 2 or labels_N.shape != z_ND.shape[:1]:
        raise ValueError(
            f"multi_positive_loss: got embeddings {tuple(z_ND.shape)} and labels "
            f"{tuple(labels_N.shape)}; must be (N, D) and (N,)"
        )
    with torch.autocast(z_ND.device.type, enabled=False):
        z_ND = z_ND.float()
        logits_NN = z_ND @ z_ND.T / temperature
        self_NN = torch.eye(len(z_ND), dtype=torch.bool, device=z_ND.device)
        positive_NN = (labels_N[:, None] == labels_N[None, :]) & ~self_NN
        log_sum_N = logits_NN.masked_fill(self_NN, -torch.inf).logsumexp(dim=1)
        count_N = positive_NN.sum(dim=1)
        positive_N = (logits_NN * positive_NN).sum(dim=1) / count_N.clamp(min=1)
        has_positive_N = count_N > 0
        loss_N = torch.where(has_positive_N, log_sum_N - positive_N, torch.zeros_like(positive_N))
        return loss_N.sum() / has_positive_N.sum().clamp(min=1)
