"""The collapse monitor: contrastive losses can fall while every image maps to one point.

Legend: N embeddings, D dimensions.
"""

import logging
import math

import torch
from torch import Tensor

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
    singular = torch.linalg.svdvals(z_ND - z_ND.mean(dim=0))
    share = singular / singular.sum().clamp(min=1e-12)
    entropy = -(share * share.clamp(min=1e-12).log()).sum()
    # equal shares have the largest rank there is, which rounding would exceed
    rank = min(float(entropy.exp()), float(min(z_ND.shape))) if float(singular.sum()) > 1e-6 else 1.0
    return {"embedding_std": float(deviation), "effective_rank": rank}


def warn_of_collapse(arm: str, step: int, spread: dict[str, float]) -> None:
    """Logs a warning where the embeddings are close to one point."""
    if spread["embedding_std"] < COLLAPSED_BELOW:
        logger.warning(
            "%s: the embeddings are collapsing at step %d: embedding_std %.3f, below %.1f of an even "
            "spread. Lower the learning rate or raise the temperature.",
            arm, step, spread["embedding_std"], COLLAPSED_BELOW,
        )  # fmt: skip
