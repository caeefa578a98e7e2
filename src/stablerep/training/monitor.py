"""The collapse monitor: contrastive losses can fall while every image maps to one point.

Legend: N embeddings, G classes of positives, D dimensions.
"""

import logging
import math

import torch
from torch import Tensor

from stablerep.methods.method import Method

logger = logging.getLogger(__name__)

# Embeddings spread evenly over the sphere have an embedding_std of 1; below a tenth of that they are
# close to one point. Our choice: arms of CLIP start near 0.4 and learn; the smoke experiment's
# clip_synthetic is warned of at 0.07.
COLLAPSED_BELOW = 0.1


@torch.no_grad()
def spread_of(z_ND: Tensor) -> dict[str, float]:
    """Measures how far embeddings are spread.

    Args:
        z_ND: (N, D), unit length.

    Returns:
        `embedding_std`: the mean over dimensions of the standard deviation, times sqrt(D): 1 for an even
        spread over the sphere, 0 for a single point. `effective_rank`: the exponential of the entropy of
        the singular values' shares (Roy and Vetterli 2007), between 1 and min(N, D).
    """
    z_ND = z_ND.float()
    deviation = z_ND.std(dim=0, correction=0).mean() * math.sqrt(z_ND.shape[1])
    rank = _effective_rank(torch.linalg.svdvals(z_ND - z_ND.mean(dim=0)))
    return {"embedding_std": float(deviation), "effective_rank": rank}


def measurable_ranks(arm: str, method: Method, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the measures of `training.rank_measures` that an arm can take; the log says which it cannot."""
    if "lidar" in asked and method.views_per_image * method.images_per_caption == 1:
        logger.info("%s: no lidar: its method shows one view of each caption", arm)
        return tuple(each for each in asked if each != "lidar")
    return asked


def ranks_of(z_ND: Tensor, labels_N: Tensor, measures: tuple[str, ...]) -> dict[str, float]:
    """Returns the measures asked for, by name."""
    ranks = {}
    if "rankme" in measures:
        ranks["rankme"] = rankme_of(z_ND)
    if "lidar" in measures:
        ranks["lidar"] = lidar_of(z_ND, labels_N)
    return ranks


@torch.no_grad()
def rankme_of(z_ND: Tensor) -> float:
    """Returns RankMe (arXiv:2210.02885, equation 1): the effective rank of the embeddings, not centred.

    The paper adds 1e-7 to each share for stability; here a share of zero adds nothing.

    Args:
        z_ND: (N, D) embeddings; the paper takes 25,600.

    Returns:
        Between 1 and min(N, D); comparable between runs of one method with batches of one size.
    """
    return _effective_rank(torch.linalg.svdvals(z_ND.float()))


@torch.no_grad()
def lidar_of(z_ND: Tensor, labels_N: Tensor, delta: float = 1e-4) -> float:
    """Returns LiDAR (arXiv:2312.04000, section 4): the effective rank of what tells the classes apart.

    With means m_g of the classes, B the covariance of the means and W the mean covariance inside of a class,
    it is that of the eigenvalues of (W + delta I)^-1/2 B (W + delta I)^-1/2. The classes are those of the
    training's task: positives of each other are one class.

    Args:
        z_ND: (N, D) embeddings.
        labels_N: int64 class of each; a class of one embedding is left out.
        delta: keeps W invertible; 1e-4 in the paper.

    Returns:
        Between 1 and min(G - 1, D); 1 for fewer than two classes.
    """
    z_ND = z_ND.double()  # W may be near singular
    _, class_N, size_G = labels_N.unique(return_inverse=True, return_counts=True)
    mean_GD = z_ND.new_zeros(len(size_G), z_ND.shape[1]).index_add(0, class_N, z_ND) / size_G[:, None]
    several_G = size_G > 1
    num_classes = int(several_G.sum())
    if num_classes < 2:
        return 1.0
    between_GD = mean_GD[several_G] - mean_GD[several_G].mean(dim=0)
    between_DD = between_GD.T @ between_GD / (num_classes - 1)
    weight_N = 1 / (size_G[class_N] - 1).clamp(min=1) / num_classes
    within_ND = z_ND - mean_GD[class_N]  # zero in a class of one
    within_DD = (within_ND * weight_N[:, None]).T @ within_ND
    values_D, vectors_DD = torch.linalg.eigh(within_DD)
    root_DD = vectors_DD * (values_D.clamp(min=0) + delta).rsqrt()
    return _effective_rank(torch.linalg.eigvalsh(root_DD.T @ between_DD @ root_DD).clamp(min=0))


def _effective_rank(values: Tensor) -> float:
    """Returns the exponential of the entropy of the values' shares; 1 where all are zero."""
    total = values.sum()
    if float(total) <= 1e-6:
        return 1.0
    share = values / total
    entropy = -(share * share.clamp(min=1e-12).log()).sum()
    # equal shares have the largest rank there is, which rounding would exceed
    return min(float(entropy.exp()), float(len(values)))


def warn_of_collapse(arm: str, step: int, spread: dict[str, float]) -> None:
    """Logs a warning where the embeddings are close to one point."""
    if spread["embedding_std"] < COLLAPSED_BELOW:
        logger.warning(
            "%s: the embeddings are collapsing at step %d: embedding_std %.3f, below %.1f of an even "
            "spread. Lower the learning rate or raise the temperature.",
            arm, step, spread["embedding_std"], COLLAPSED_BELOW,
        )  # fmt: skip
