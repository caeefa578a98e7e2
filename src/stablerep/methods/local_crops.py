"""Multi-crop: small crops of the images as further anchors of the multi-positive loss.

Source: SwAV (arXiv:2006.09882, section 3.2) compares small crops with whole views, never with each other;
SynCLR (arXiv:2312.17742 and its code) does so with images of one caption as positives, and adds the mean over
small crops to the mean over views. Both compare with a target without gradient, SynCLR's from an average of
the weights; here the views of the step are the candidates, with their gradient, as in StableRep.
Legend: N views of the whole batch, k crops of this process, G groups of equal labels, D dimensions.
"""

import torch
from torch import Tensor

from stablerep.methods.method import Embedded
from stablerep.methods.multi_positive import at_least_float32, groups_of
from stablerep.methods.streamed import streamed_logsumexp

_TILE = 4096  # crops and views of which similarities are held at once


def local_crop_loss(batch: Embedded, temperature: float) -> Tensor:
    """Cross-entropy between the softmax over all views and the uniform law of a crop's positives.

    For a crop i, candidates are the N views of the batch, that of its own image among them, and no crop; p is
    uniform over the views with its label; the loss is the mean over crops of H(p, q),
    q = softmax(z_i . z_j / temperature).

    Args:
        batch: with its local crops, each with the label of a view.
        temperature: > 0.

    Returns:
        A scalar, the sum over this process's crops by the number of all crops: the parts of several processes
        add up to the loss.

    Raises:
        ValueError: the batch has no local crops.
    """
    if batch.local_kD is None or batch.local_labels_k is None:
        raise ValueError("local_crop_loss: got a batch without local crops; must have local_kD")
    with torch.autocast(batch.z_ND.device.type, enabled=False):
        z_ND, local_kD = at_least_float32(batch.z_ND), at_least_float32(batch.local_kD)
        group_N = groups_of(batch.labels_N)
        size_G = torch.zeros_like(group_N).index_add(0, group_N, torch.ones_like(group_N))
        sum_GD = torch.zeros_like(z_ND).index_add(0, group_N, z_ND)
        sorted_N, order_N = batch.labels_N.sort()
        group_k = group_N[order_N[torch.searchsorted(sorted_N, batch.local_labels_k)]]
        positive_k = (local_kD * sum_GD[group_k]).sum(dim=1) / size_G[group_k] / temperature
        scale = z_ND.new_tensor(1 / temperature)
        log_sum_k = streamed_logsumexp(local_kD, z_ND, scale, None, _TILE)
        return (log_sum_k - positive_k).sum() / batch.num_local
