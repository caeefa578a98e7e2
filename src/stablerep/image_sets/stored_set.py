"""Writes a finished image set's tables to a folder and reads them back.

The files are `images.parquet`, `captions.parquet`, `image_set.json` and, of a generated set,
`manifest.parquet`.
"""

import json
from pathlib import Path

import pandas as pd

from stablerep.errors import DataError
from stablerep.image_sets.image_set import SOURCES, ImageSet
from stablerep.validation.schemas import ImageManifest, ImageSetCaptions, ImageSetImages

_DESCRIPTION, _IMAGES, _CAPTIONS, _MANIFEST = (
    "image_set.json",
    "images.parquet",
    "captions.parquet",
    "manifest.parquet",
)


def write_image_set(folder: Path, image_set: ImageSet) -> None:
    """Writes a set's tables.

    Raises:
        DataError: a table is not as its schema says.
    """
    ImageSetImages.validate(image_set.images)
    ImageSetCaptions.validate(image_set.captions)
    image_set.images.to_parquet(folder / _IMAGES, index=False)
    image_set.captions.to_parquet(folder / _CAPTIONS, index=False)
    if image_set.manifest is not None:
        ImageManifest.validate(image_set.manifest)
        image_set.manifest.to_parquet(folder / _MANIFEST, index=False)
    described = {
        "name": image_set.name,
        "source": image_set.source,
        "parts": image_set.parts,
        "facts": image_set.facts,
    }
    text = json.dumps(described, indent=1, default=str)
    (folder / _DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def read_image_set(folder: Path, place: Path) -> ImageSet:
    """Reads a set's tables.

    Args:
        folder: of the tables.
        place: of the set; see `ImageSet.folder`.

    Raises:
        FileNotFoundError: there is no such set.
        DataError: a table or the description is damaged.
    """
    described = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    if described.get("source") not in SOURCES:
        raise DataError(f"{folder / _DESCRIPTION}: source {described.get('source')!r} is none of {SOURCES}.")
    images = pd.read_parquet(folder / _IMAGES)
    captions = pd.read_parquet(folder / _CAPTIONS)
    manifest = pd.read_parquet(folder / _MANIFEST) if (folder / _MANIFEST).exists() else None
    ImageSetImages.validate(images)
    ImageSetCaptions.validate(captions)
    if manifest is not None:
        ImageManifest.validate(manifest)
    return ImageSet(
        described["name"],
        described["source"],
        images,
        captions,
        dict(described["parts"]),
        place,
        manifest,
        described["facts"],
    )
