"""Applies the policy to an image set: rejects, draws further images, scores them, until none is missing.

The result is a function of captions, settings and scorer. A second run decides the same from the stored
scores and finds the further images in the set; so the first plan of a run must not prune them
(`keeps_spare`), and spare images are removed at the end.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from stablerep.alignment.policy import (
    Further,
    find_threshold,
    more_indices,
    reject,
    wanted_rows,
    with_alignment,
)
from stablerep.alignment.settings import AlignmentPolicy
from stablerep.storage.shards import INTACT, REJECTED_MISALIGNED, REJECTED_UNSAFE

logger = logging.getLogger(__name__)

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class Draw(Protocol):
    """Completes the image set with further images; returns its manifest and the number of images drawn."""

    def __call__(self, further: Mapping[str, Sequence[int]], keeps_spare: bool) -> tuple[pd.DataFrame, int]:
        """Draws the missing images."""
        ...


class Score(Protocol):
    """Scores the images of a manifest; returns the scores and the number that were computed."""

    def __call__(self, manifest: pd.DataFrame) -> tuple[pd.DataFrame, int]:
        """Scores the images that have no score yet."""
        ...


@dataclass(frozen=True)
class Aligned:
    """An image set after the policy.

    Attributes:
        manifest: with `alignment`; every wanted image, the rejected ones with their state.
        scores: of its stored images.
        ledger: see `summarise`.
    """

    manifest: pd.DataFrame
    scores: pd.DataFrame
    ledger: dict[str, Any]


def apply_policy(
    drawn: pd.DataFrame,
    scores: pd.DataFrame,
    images_per_caption: int,
    policy: AlignmentPolicy,
    draw: Draw,
    score: Score,
) -> Aligned:
    """Rejects images, and has further ones drawn where the policy says so.

    Args:
        drawn: manifest of the image set; spare images may be among it.
        scores: of its images.
        images_per_caption: that a caption must have.
        policy: the threshold, and how often images are made again.
        draw: called for images that are missing, and to remove images that are not needed.
        score: called after it.
    """
    images = _ScoredImages(drawn, scores, draw, score)
    threshold = find_threshold(images.manifest, images_per_caption, policy)
    further: Further = {}
    while True:
        wanted = reject(wanted_rows(images.manifest, images_per_caption, further), threshold)
        more = more_indices(wanted, images_per_caption, further, policy.max_remakes)
        if more == further:
            break
        further = more
        if _is_absent(images.manifest, further):
            logger.info("%d further images are needed", sum(map(len, further.values())))
            images.draw_again(further, keeps_spare=True)
    if len(wanted) < len(images.manifest):
        images.draw_again(further, keeps_spare=False)
        wanted = reject(images.manifest, threshold)
    ledger = summarise(wanted, images_per_caption, threshold)
    ledger |= {"num_made_images": images.num_made, "num_scored": images.num_scored}
    _warn(ledger)
    return Aligned(wanted, images.scores, ledger)


class _ScoredImages:
    """The image set and its scores, which are computed again after each drawing."""

    def __init__(self, drawn: pd.DataFrame, scores: pd.DataFrame, draw: Draw, score: Score) -> None:
        self.scores = scores
        self.manifest = with_alignment(drawn, scores)
        self.num_made = self.num_scored = 0
        self._draw, self._score = draw, score

    def draw_again(self, further: Further, keeps_spare: bool) -> None:
        manifest, made = self._draw(further, keeps_spare=keeps_spare)
        self.scores, computed = self._score(manifest)
        self.num_made, self.num_scored = self.num_made + made, self.num_scored + computed
        self.manifest = with_alignment(manifest, self.scores)


def _is_absent(manifest: pd.DataFrame, further: Further) -> bool:
    there = set(zip(manifest["caption_id"], manifest["image_index"], strict=True))
    return any((caption_id, index) not in there for caption_id, those in further.items() for index in those)


def summarise(manifest: pd.DataFrame, images_per_caption: int, threshold: float | None) -> dict[str, Any]:
    """Returns the figures of the policy, ready for JSON.

    Args:
        manifest: with `alignment` and the final states.
        images_per_caption: first-drawn images of each caption.
        threshold: from `find_threshold`.

    Returns:
        `num_images`, `num_intact`, `num_rejected_misaligned`, `num_rejected_unsafe`; `num_remade`, images
        that were drawn for rejected ones; `num_short_captions`, with fewer than `images_per_caption` left,
        and `num_captions_without_images` among them; `threshold`; of the first-drawn images' scores `mean`,
        `min`, `max` and `quantiles`, and `mean_of_accepted`. None if nothing was scored.
    """
    state = manifest["state"]
    left = (state == INTACT).groupby(manifest["caption_id"]).sum()
    first = manifest.loc[manifest["image_index"] < images_per_caption, "alignment"].dropna()
    accepted = manifest.loc[state == INTACT, "alignment"].dropna()
    return {
        "num_images": len(manifest),
        "num_intact": int((state == INTACT).sum()),
        "num_rejected_misaligned": int((state == REJECTED_MISALIGNED).sum()),
        "num_rejected_unsafe": int((state == REJECTED_UNSAFE).sum()),
        "num_remade": int((manifest["image_index"] >= images_per_caption).sum()),
        "num_short_captions": int((left < images_per_caption).sum()),
        "num_captions_without_images": int((left == 0).sum()),
        "threshold": threshold,
        "mean": _rounded(first.mean()),
        "min": _rounded(first.min()),
        "max": _rounded(first.max()),
        "quantiles": {f"q{100 * share:02.0f}": _rounded(first.quantile(share)) for share in QUANTILES},
        "mean_of_accepted": _rounded(accepted.mean()),
    }


def _rounded(value: Any) -> float | None:
    return None if pd.isna(value) else round(float(value), 5)


def _warn(ledger: Mapping[str, Any]) -> None:
    if ledger["num_rejected_misaligned"]:
        logger.info(
            "%d of %d images are below the threshold of %.3f: rejected, not used for training",
            ledger["num_rejected_misaligned"], ledger["num_images"], ledger["threshold"],
        )  # fmt: skip
    if ledger["num_captions_without_images"]:
        logger.warning(
            "%d captions have no image left, because all were rejected; see state in the image manifest",
            ledger["num_captions_without_images"],
        )
