"""How many captions and images of a set are used, so that sets can be compared at equal number."""

import hashlib

import numpy as np
import pandas as pd

from stablerep.errors import DataError


def cut(
    images: pd.DataFrame,
    name: str,
    num_captions: int | None = None,
    images_per_caption: int | None = None,
    num_images: int | None = None,
) -> pd.DataFrame:
    """Keeps the first captions, the first images of each, and of these the first images, in their order.

    Args:
        images: one row per image, the images of a caption next to each other.
        name: of the set, for the message.
        num_captions: at most; None keeps all.
        images_per_caption: at most; None keeps all.
        num_images: exactly; None keeps all.

    Raises:
        DataError: there are fewer images than `num_images`.
    """
    if num_captions is not None:
        wanted = images["caption_id"].drop_duplicates().head(num_captions)
        images = images[images["caption_id"].isin(wanted)]
    if images_per_caption is not None:
        images = images[images.groupby("caption_id").cumcount() < images_per_caption]
    if num_images is not None:
        if len(images) < num_images:
            raise DataError(
                f"image set {name!r}: has {len(images)} images; image_sets.{name}.num_images, or the set "
                f"that "
                f"its as_many_as names, asks for {num_images}. Lower it, or add captions or images."
            )
        images = images.head(num_images)
    return images.reset_index(drop=True)


def in_random_order(images: pd.DataFrame, *seed: str | int) -> pd.DataFrame:
    """Returns the rows ordered by a hash of their captions, the images of a caption next to each other.

    A function of the seed and the caption alone: images that are added change nothing about the order of the
    others.
    """
    key = ":".join(map(str, seed))
    captions = images["caption_id"].unique()
    ranks = {each: hashlib.sha256(f"{key}:{each}".encode()).digest() for each in captions}
    order = {each: number for number, each in enumerate(sorted(ranks, key=ranks.__getitem__))}
    places = images["caption_id"].map(order).to_numpy()
    return images.iloc[np.argsort(places, kind="stable")].reset_index(drop=True)
