"""Measures each image, and each caption's images together; what is to be done is the image gate's rules.

Stores numbers, applies no threshold, in the way of cleanvision's image properties.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor
from torch.nn import functional as F

from stablerep.curation.people.takedowns import CAPTION, SOURCE, taken_down
from stablerep.errors import DataError
from stablerep.generation.image_sets.image_hash import nearest_hashes, perceptual_hash
from stablerep.storage.shards import INTACT, SHARDS_FOLDER, decode_image, digest_of, image_id_of, read_members
from stablerep.validation.captions import in_evaluation_set

_THUMBNAIL_PX = 8
_HEALTH = ["digest_matches", "decodable", "width_px", "height_px", "pixel_std"]


def inspect_images(
    store: Path, manifest: pd.DataFrame, captions: pd.DataFrame, evaluation_texts: Iterable[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads every image of a manifest that was not rejected and measures it.

    Args:
        store: the image set's folder.
        manifest: rows with `shard`, `member`, `digest`, `caption_id`, `image_index`, `state`.
        captions: the caption set, with `caption_id` and `text`; those that were taken down left out.
        evaluation_texts: captions of the evaluation set.

    Returns:
        images: the rows that are trained on in their order, those that were rejected left out, with `text`,
            the caption's; `evaluation_text`, the same where the evaluation set has it; `decodable`;
            `digest_matches`; `width_px` and `height_px` as decoded (0 where it is not); `pixel_std`, the
            largest standard deviation of a colour channel over the image, of values in [0, 1], near 0 for an
            image of one colour; `duplicate_of`, the first image of the very same bytes;
            `hash_distance_bits` and `near_duplicate_of`, the other image whose perceptual hash is nearest,
            where 15 bits or fewer are between them. What does not apply is missing.
        images_of_captions: a row a caption, with `num_images` drawn of it, the rejected ones too;
            `num_stored` of them that are trained on; and `diversity`, see `_diversity`.
    """
    stored = manifest[manifest["state"] == INTACT].reset_index(drop=True)
    measured: dict[int, dict[str, object]] = {}
    thumbnails = np.full((len(stored), 3 * _THUMBNAIL_PX**2), np.nan, dtype=np.float32)
    hashes: dict[int, bytes] = {}
    for shard, rows in stored.groupby("shard"):
        found = read_members(store / SHARDS_FOLDER / str(shard), set(rows["member"]))
        for position, member, digest in zip(rows.index, rows["member"], rows["digest"], strict=True):
            data = found.get(member, b"")
            image = _decoded(data)
            measured[position] = {"digest_matches": digest_of(data) == digest, **_measure(image)}
            if image is not None:
                thumbnails[position] = _thumbnail(image)
                hashes[position] = perceptual_hash(image)
    health = pd.DataFrame([measured[position] for position in range(len(stored))], columns=_HEALTH)
    text_of = captions.drop_duplicates("caption_id").set_index("caption_id")["text"]
    texts = stored["caption_id"].map(text_of).astype("str")
    images = stored.assign(
        **health,
        **_duplicates(stored, hashes),
        text=texts,
        evaluation_text=in_evaluation_set(texts, evaluation_texts),
    )
    return images, _inspect_captions(captions, manifest, stored, thumbnails)


def without_taken_down(captions: pd.DataFrame, takedowns: pd.DataFrame) -> pd.DataFrame:
    """Returns the captions of which images are wanted: a takedown may be younger than the caption set."""
    gone = captions["caption_id"].isin(taken_down(takedowns, CAPTION))
    return captions[~(gone | captions["source"].isin(taken_down(takedowns, SOURCE)))]


def _decoded(data: bytes) -> Tensor | None:
    try:
        return decode_image(data)
    except DataError:
        return None  # recorded, not raised: the gate names the rows


def _measure(image: Tensor | None) -> dict[str, object]:
    if image is None:
        return {"decodable": False, "width_px": 0, "height_px": 0, "pixel_std": 0.0}
    deviation = (image.float() / 255).flatten(1).std(dim=1, correction=0).max()
    height, width = image.shape[1:]
    return {
        "decodable": True,
        "width_px": width,
        "height_px": height,
        "pixel_std": round(float(deviation), 5),
    }


def _thumbnail(image: Tensor) -> np.ndarray:
    small = F.adaptive_avg_pool2d(image.float()[None] / 255, _THUMBNAIL_PX)
    return small.flatten().numpy()


def _duplicates(stored: pd.DataFrame, hashes: dict[int, bytes]) -> dict[str, pd.Series]:
    ids = pd.Series(
        [image_id_of(*row) for row in zip(stored["caption_id"], stored["image_index"], strict=True)],
        index=stored.index,
        dtype="str",
    )
    positions = np.array(sorted(hashes), dtype=np.int64)
    distances, others = nearest_hashes([hashes[position] for position in positions])
    found = others >= 0
    bits = pd.Series(distances[found], index=positions[found]).reindex(stored.index)
    near = pd.Series(ids.to_numpy()[positions[others[found]]], index=positions[found], dtype="str")
    first = ids.groupby(stored["digest"]).transform("first")
    return {
        "duplicate_of": first.where(stored["digest"].duplicated()),
        "hash_distance_bits": bits,
        "near_duplicate_of": near.reindex(stored.index),
    }


def _inspect_captions(
    captions: pd.DataFrame, manifest: pd.DataFrame, stored: pd.DataFrame, thumbnails: np.ndarray
) -> pd.DataFrame:
    """Returns a row a caption: caption_id, text, num_images, num_stored, diversity."""
    table = captions[["caption_id", "text"]].drop_duplicates("caption_id", ignore_index=True)
    ids = table["caption_id"]
    return table.assign(
        num_images=ids.map(manifest["caption_id"].value_counts()).fillna(0).astype("int64"),
        num_stored=ids.map(stored["caption_id"].value_counts()).fillna(0).astype("int64"),
        diversity=ids.map(_diversity(stored["caption_id"], thumbnails)).astype("float64"),
    )


def _diversity(caption_ids: "pd.Series[str]", thumbnails: np.ndarray) -> "pd.Series[float]":
    """Returns how much the images of each caption differ from each other.

    The root of the mean squared difference over all pairs of its images and all values of their thumbnails,
    8 x 8 pixels of values in [0, 1]: 0 for copies. It is twice the variance, and so linear in images. Missing
    where a caption has fewer than two images.
    """
    variances = pd.DataFrame(thumbnails).groupby(caption_ids.to_numpy()).var(ddof=1).mean(axis=1)
    return (2 * variances) ** 0.5
