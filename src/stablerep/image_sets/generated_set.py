"""The image set of source `generated`: what the generator drew, the policy kept and the gate let pass."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.image_sets.image_set import CAPTION_COLUMNS, GENERATED, LABEL_PREFIX, ImageSet
from stablerep.image_sets.selection import cut
from stablerep.storage.shards import INTACT, image_id_of

logger = logging.getLogger(__name__)


def from_generator(
    name: str,
    manifest: pd.DataFrame,
    health: pd.DataFrame,
    captions: pd.DataFrame,
    folder: Path,
    labels: Mapping[str, Sequence[int | None]],
    amounts: dict[str, int | None],
    facts: dict[str, Any],
) -> ImageSet:
    """Makes the set of the images that were not rejected.

    Args:
        name: of the set.
        manifest: one row per image that was made, with its state.
        health: measured of each image, by caption id and image index.
        captions: of the set.
        folder: of the set.
        labels: task -> what each caption says of its classes, in the order of `captions`.
        amounts: `num_images` at most; the other numbers were obeyed when the images were made.
        facts: what the set's ledger says.
    """
    # images that the safety checker blanked, or that do not show their caption, are not trained on
    images = manifest[manifest["state"] == INTACT].merge(health, on=["caption_id", "image_index"], how="left")
    ids = zip(images["caption_id"], images["image_index"], strict=True)
    images = images.assign(image_id=[image_id_of(*each) for each in ids], part=name)
    for task, values in labels.items():
        if all(value is None for value in values):
            continue  # captions say nothing of this task
        known = dict(zip(captions["caption_id"], values, strict=True))
        classes = images["caption_id"].map(known)
        images[LABEL_PREFIX + task] = classes.astype("float64").fillna(-1).astype("int64")
    images.attrs = {}  # what images cost changes nothing for what is trained on them
    images = cut(images, name, num_images=_number_there(name, len(images), amounts.get("num_images")))
    known_captions = captions[list(CAPTION_COLUMNS)].reset_index(drop=True)
    facts = {"num_images": len(images), **facts}
    return ImageSet(name, GENERATED, images, known_captions, {name: GENERATED}, folder, manifest, facts)


def _number_there(name: str, there: int, wanted: int | None) -> int | None:
    """Returns how many images to keep: as many as there are where more rejections than expected took some."""
    if wanted is not None and there < wanted:
        logger.warning(
            "image set %s: has %d images; image_sets.%s asks for %d, and the others were rejected",
            name, there, name, wanted,
        )  # fmt: skip
        return None
    return wanted


def from_manifest(name: str, manifest: pd.DataFrame, captions: pd.DataFrame, folder: Path) -> ImageSet:
    """Makes a set of all images that were drawn, without a policy or a gate: of a trial.

    Args:
        name: of the set.
        manifest: one row per image that was made.
        captions: of the set.
        folder: of the set.
    """
    nothing = pd.DataFrame({"caption_id": pd.Series(dtype="str"), "image_index": pd.Series(dtype="int64")})
    return from_generator(name, manifest, nothing, captions, folder, {}, {}, {})
