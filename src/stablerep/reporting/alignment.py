"""The report's section on alignment: the distribution of the scores, the worst and the best images.

Legend: N images, (N, 3, H, W) uint8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from stablerep.reporting.axes import TEXT, light, plain
from stablerep.reporting.gallery import scale_image
from stablerep.reporting.inline import png_address
from stablerep.storage.shards import INTACT, REJECTED_MISALIGNED

_NUM_BINS = 60


@dataclass(frozen=True)
class ScoredPicture:
    """An image of the page with its score.

    Attributes:
        text: the caption.
        alignment: its score.
        state: of the image, see `stablerep.storage.shards`.
        picture: data address of a PNG.
    """

    text: str
    alignment: float
    state: str
    picture: str


@dataclass(frozen=True)
class AlignmentSection:
    """What the page shows of the scores.

    Attributes:
        ledger: see `stablerep.alignment.remake.summarise`.
        histogram: the distribution, accepted and rejected images.
        worst: the lowest scores, the lowest first.
        best: the highest, the highest first.
    """

    ledger: Mapping[str, Any]
    histogram: Figure
    worst: list[ScoredPicture]
    best: list[ScoredPicture]


def pick_extremes(manifest: pd.DataFrame, num: int = 12) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Picks the rows of the worst and the best images, one per caption, as one caption may fill them all.

    Args:
        manifest: with `alignment`; images that were not scored are left out.
        num: of each, at most; half of the captions where there are fewer, so that no image is in both.
    """
    keys = ["alignment", "caption_id", "image_index"]
    ordered = manifest.dropna(subset=["alignment"]).sort_values(keys)
    worst = ordered.drop_duplicates("caption_id")
    most = min(num, len(worst) // 2)
    worst = worst.head(most)
    rest = ordered[~ordered["caption_id"].isin(worst["caption_id"])]
    best = rest.drop_duplicates("caption_id", keep="last")[::-1].head(most)
    return worst.reset_index(drop=True), best.reset_index(drop=True)


def make_section(
    manifest: pd.DataFrame,
    ledger: Mapping[str, Any],
    texts: Mapping[str, str],
    pictures: Sequence[tuple[pd.DataFrame, Tensor]],
) -> AlignmentSection:
    """Makes the section.

    Args:
        manifest: with `alignment`.
        ledger: of the policy.
        texts: caption id -> text.
        pictures: rows and images (N, 3, H, W) uint8 of the worst, then those of the best, as `pick_extremes`
            gives them.
    """
    worst, best = (_pictures(rows, images, texts) for rows, images in pictures)
    return AlignmentSection(ledger, draw_alignment(manifest, ledger["threshold"]), worst, best)


def _pictures(rows: pd.DataFrame, images: Tensor, texts: Mapping[str, str]) -> list[ScoredPicture]:
    found = []
    for row, image in zip(rows.to_dict("records"), images, strict=True):
        shown = scale_image(Image.fromarray(image.permute(1, 2, 0).numpy()))
        text = texts[row["caption_id"]]
        found.append(ScoredPicture(text, float(row["alignment"]), str(row["state"]), png_address(shown)))
    return found


def draw_alignment(manifest: pd.DataFrame, threshold: float | None) -> Figure:
    """Draws the distribution of the scores, and the threshold.

    Counts are on a logarithmic axis: the few low scores are what one looks for.

    Args:
        manifest: with `alignment` and `state`.
        threshold: below it, images were rejected; None draws no line.
    """
    scored = manifest.dropna(subset=["alignment"])
    parts = [scored.loc[scored["state"] == state, "alignment"] for state in (INTACT, REJECTED_MISALIGNED)]
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = figure.subplots()
    edges = np.histogram_bin_edges(scored["alignment"], _NUM_BINS)
    if threshold is not None and edges[0] < threshold < edges[-1]:
        # the line falls between two bars
        edges = np.unique(np.append(edges, threshold))
    axes.hist(
        parts,
        bins=list(edges),
        stacked=True,
        color=[light("generated"), light("bad")],
        label=["accepted", "rejected"],
        log=True,
    )
    if threshold is not None:
        axes.axvline(threshold, color=TEXT, linewidth=0.9, linestyle=(0, (3, 3)))
        axes.annotate(
            f"threshold {threshold:.3f}",
            (threshold, 0.97),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            va="top",
            fontsize=8.5,
            color=TEXT,
        )
    axes.set_xlabel("alignment: cosine of image and caption", fontsize=8.5)
    axes.set_ylabel("images", fontsize=8.5)
    axes.tick_params(labelsize=8)
    plain(axes, "y")
    if len(parts[1]):
        figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=8.5, labelcolor=TEXT)
    return figure
