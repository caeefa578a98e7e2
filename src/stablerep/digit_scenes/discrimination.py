"""How well a scorer tells an image's own caption from one with a single word changed.

Two figures an attribute: the share of images whose own caption scores higher than the changed one (`paired`),
and the area under the ROC curve over all pairs together (`auc`), which also asks whether scores of different
images can be compared, as a threshold does.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stablerep.alignment.scorer import Scorer
from stablerep.digit_scenes.captioned_scenes import change_attribute
from stablerep.digit_scenes.grammar import read_caption
from stablerep.digit_scenes.scenes import ATTRIBUTES
from stablerep.seeding import numpy_generator


def measure_discrimination(
    scorer: Scorer, images: Tensor, texts: Sequence[str], seed: int
) -> dict[str, dict[str, float]]:
    """Measures a scorer on images that show what their captions say.

    Args:
        scorer: to be measured.
        images: (N, 3, H, W) uint8.
        texts: N captions of the grammar, each true of its image.
        seed: of the changed words.

    Returns:
        By attribute, of the images whose caption names it: `paired`, `auc` and `num`.
    """
    own = scorer.score(images, texts)
    found = {}
    for attribute in ATTRIBUTES:
        rng = numpy_generator("changed captions", attribute, seed)
        rows = [row for row, text in enumerate(texts) if attribute in read_caption(text).named()]
        changed = [change_attribute(texts[row], attribute, rng) for row in rows]
        other = scorer.score(images[rows], changed)
        found[attribute] = {
            "paired": float((own[rows] > other).float().mean()) if rows else float("nan"),
            "auc": area_under_curve(own[rows], other),
            "num": len(rows),
        }
    return found


def area_under_curve(high: Tensor, low: Tensor) -> float:
    """Returns the share of pairs of `high` (N,) and `low` (M,) in which the first is larger, ties by half.

    This is the area under the ROC curve (Mann and Whitney's U over N M); nan where one is empty.
    """
    if not len(high) or not len(low):
        return float("nan")
    values, inverse, counts = np.unique(
        torch.cat([high, low]).numpy(), return_inverse=True, return_counts=True
    )
    ranks = counts.cumsum() - (counts - 1) / 2  # of each distinct value, the mean rank of its ties
    sum_high = ranks[inverse[: len(high)]].sum()
    return float((sum_high - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))
