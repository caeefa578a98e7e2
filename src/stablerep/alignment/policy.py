"""The policy: which images are rejected for their scores, and which further ones a caption is to have.

Pure functions of tables. What is accepted follows from the scores of the images that are wanted, whatever
else lies in the image set, so that a second run decides as the first did.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import pandas as pd

from stablerep.alignment.settings import AlignmentPolicy
from stablerep.storage.shards import INTACT, REJECTED_MISALIGNED, REJECTED_UNSAFE

# Further image indices of captions, by caption id.
Further = dict[str, tuple[int, ...]]


def with_alignment(manifest: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Returns a manifest with the column `alignment`, float64; nan for images that were not scored."""
    keys = ["caption_id", "image_index"]
    bare = manifest.drop(columns="alignment", errors="ignore")
    return bare.merge(scores[[*keys, "alignment"]], on=keys, how="left")


def find_threshold(manifest: pd.DataFrame, images_per_caption: int, policy: AlignmentPolicy) -> float | None:
    """Returns the score below which images are rejected; None where the policy rejects none.

    The share is that of the first-drawn images: with the further ones in it, each remake would move the bound
    that called for it.

    Args:
        manifest: with `alignment`.
        images_per_caption: first-drawn images of each caption.
        policy: what is asked for.
    """
    bounds = [] if policy.min_alignment is None else [policy.min_alignment]
    first = manifest.loc[manifest["image_index"] < images_per_caption, "alignment"].dropna()
    # exact: 0.29 * 100 is 28.999999999999996 in floating point, and one image too few would be dropped
    num_dropped = int(Fraction(str(policy.drop_share)) * len(first))
    if num_dropped:
        bounds.append(float(np.sort(first.to_numpy())[num_dropped]))
    return max(bounds, default=None)


def reject(manifest: pd.DataFrame, threshold: float | None) -> pd.DataFrame:
    """Returns a manifest with the state of each stored image set anew by its score."""
    blanked = manifest["state"] == REJECTED_UNSAFE
    below = manifest["alignment"] < threshold if threshold is not None else np.zeros(len(manifest), bool)
    state = np.where(blanked, REJECTED_UNSAFE, np.where(below, REJECTED_MISALIGNED, INTACT))
    return manifest.assign(state=pd.Series(state, manifest.index, dtype=manifest["state"].dtype))


def wanted_rows(
    manifest: pd.DataFrame, images_per_caption: int, further: Mapping[str, Sequence[int]]
) -> pd.DataFrame:
    """Returns the rows of first-drawn and of the named further images."""
    first = manifest["image_index"] < images_per_caption
    pairs = zip(manifest["caption_id"], manifest["image_index"], strict=True)
    named = [index in further.get(caption_id, ()) for caption_id, index in pairs]
    return manifest[first | np.array(named, dtype=bool)].reset_index(drop=True)


def more_indices(
    rejected: pd.DataFrame, images_per_caption: int, further: Mapping[str, Sequence[int]], max_remakes: int
) -> Further:
    """Returns the further images that captions are to have; the same as before where none wants more.

    A caption gets as many as it lacks, those that the safety checker blanked counted in, up to the bound.
    They take the indices that follow on its last one; an image's seed is a function of its index.

    Args:
        rejected: from `reject`, rows of the wanted images.
        images_per_caption: that a caption is to have.
        further: indices that it has already.
        max_remakes: further images of a caption, at most.
    """
    intact = (rejected["state"] == INTACT).groupby(rejected["caption_id"]).sum()
    more: Further = {}
    for caption_id, num in intact.items():
        known = tuple(further.get(str(caption_id), ()))
        wanted = min(images_per_caption - int(num), max_remakes - len(known))
        start = images_per_caption + len(known)
        more[str(caption_id)] = (*known, *range(start, start + max(0, wanted)))
    return {caption_id: indices for caption_id, indices in more.items() if indices}
