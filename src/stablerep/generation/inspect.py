"""Measures each image's health; what is to be done about it is the image gate's rules.

Stores numbers, applies no threshold, in the way of cleanvision's image properties.
"""

from pathlib import Path

import pandas as pd

from stablerep.errors import DataError
from stablerep.shards import INTACT, SHARDS_FOLDER, decode_image, digest_of, read_members

HEALTH_COLUMNS = (
    "decodable",
    "digest_matches",
    "width_px",
    "height_px",
    "pixel_std",
    "num_images_of_caption",
)


def inspect_images(store: Path, manifest: pd.DataFrame) -> pd.DataFrame:
    """Reads every image of a manifest that was not rejected and measures it.

    Args:
        store: the image set's folder.
        manifest: rows with `shard`, `member`, `digest`, `caption_id`, `state`.

    Returns:
        The rows of images that are trained on in their order, those that were rejected left out, with
        `decodable`; `digest_matches`; `width_px` and `height_px` as decoded (0 where it is not);
        `pixel_std`, the largest standard deviation of a colour channel over the image, of values in
        [0, 1], near 0 for an image of one colour; and `num_images_of_caption`, what was drawn of the
        caption, the rejected ones too.
    """
    measured: dict[int, dict[str, object]] = {}
    stored = manifest["state"] == INTACT
    frame = manifest[stored].reset_index(drop=True)
    drawn = manifest.groupby("caption_id")["caption_id"].transform("size").astype(int)
    counts = drawn[stored].reset_index(drop=True)
    for shard, rows in frame.groupby("shard"):
        found = read_members(store / SHARDS_FOLDER / str(shard), set(rows["member"]))
        for position, member, digest in zip(rows.index, rows["member"], rows["digest"], strict=True):
            measured[position] = _measure(found.get(member, b""), digest)
    rows_in_order = [measured[position] for position in range(len(frame))]
    health = pd.DataFrame(rows_in_order, index=frame.index, columns=list(HEALTH_COLUMNS[:-1]))
    kept = frame.drop(columns=[name for name in HEALTH_COLUMNS if name in frame.columns])
    joined = pd.concat([kept, health], axis=1).assign(num_images_of_caption=counts)
    # the manifest's columns stay where they were
    added = [name for name in HEALTH_COLUMNS if name not in manifest.columns]
    return joined[[*manifest.columns, *added]]


def _measure(data: bytes, digest: str) -> dict[str, object]:
    values: dict[str, object] = {
        "decodable": False,
        "digest_matches": digest_of(data) == digest,
        "width_px": 0,
        "height_px": 0,
        "pixel_std": 0.0,
    }
    try:
        image = decode_image(data)
    except DataError:
        return values  # recorded, not raised: the gate names the rows
    deviation = (image.float() / 255).flatten(1).std(dim=1, correction=0).max()
    height, width = image.shape[1:]
    return values | {
        "decodable": True,
        "width_px": width,
        "height_px": height,
        "pixel_std": round(float(deviation), 5),
    }
