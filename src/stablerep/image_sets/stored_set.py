"""Writes a finished image set's tables to a folder and reads them back.

The files are `images.parquet`, `captions.parquet`, `image_set.json` and, of a generated set,
`manifest.parquet`; `README.md` is the data set card, and `SHA256SUMS` has their digests.
"""

import json
from pathlib import Path
from typing import Any

from stablerep.errors import DataError
from stablerep.image_sets.card import data_set_card
from stablerep.image_sets.image_set import GENERATED, SOURCES, ImageSet
from stablerep.storage.digests import faults_of_files, warn_without_digests, write_digests
from stablerep.storage.json_files import read_json
from stablerep.storage.tables import read_table
from stablerep.validation.schemas import ImageManifest, ImageSetCaptions, ImageSetImages

_DESCRIPTION, _IMAGES, _CAPTIONS, _MANIFEST = (
    "image_set.json",
    "images.parquet",
    "captions.parquet",
    "manifest.parquet",
)
_CARD = "README.md"
_TYPES = {"name": str, "source": str, "parts": dict, "facts": dict}


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
    (folder / _CARD).write_text(data_set_card(image_set), encoding="utf-8")
    write_digests(folder)


def read_image_set(folder: Path, place: Path) -> ImageSet:
    """Reads a set's tables.

    Args:
        folder: of the tables.
        place: of the set; see `ImageSet.folder`.

    Raises:
        FileNotFoundError: there is no such set, or a file of it is missing.
        OSError: the file system failed.
        DataError: a table or the description cannot be read, is not the one that was saved, or the tables do
            not fit each other.
    """
    if faults := faults_of_files(folder):
        raise DataError("; ".join(faults))
    described = _read_description(folder)
    images = read_table(folder / _IMAGES)
    captions = read_table(folder / _CAPTIONS)
    manifest = read_table(folder / _MANIFEST) if (folder / _MANIFEST).exists() else None
    ImageSetImages.validate(images)
    ImageSetCaptions.validate(captions)
    if manifest is not None:
        ImageManifest.validate(manifest)
    made = ImageSet(
        described["name"],
        described["source"],
        images,
        captions,
        dict(described["parts"]),
        place,
        manifest,
        described["facts"],
    )
    _check_fits_together(made)
    warn_without_digests(folder)  # sets of earlier releases have none
    return made


def _read_description(folder: Path) -> dict[str, Any]:
    described = read_json(folder / _DESCRIPTION)
    if not isinstance(described, dict):
        raise DataError(f"{_DESCRIPTION}: is not a mapping")
    for key, kind in _TYPES.items():
        if not isinstance(described.get(key), kind):
            raise DataError(f"{_DESCRIPTION}: {key}: got {described.get(key)!r}; must be a {kind.__name__}")
    for source in (described["source"], *described["parts"].values()):
        if source not in SOURCES:
            raise DataError(f"{_DESCRIPTION}: source {source!r} is none of {', '.join(SOURCES)}")
    return described


def _check_fits_together(image_set: ImageSet) -> None:
    """Raises DataError where a row of one table needs one of another that is not there."""
    lost = image_set.images.loc[
        ~image_set.images["caption_id"].isin(image_set.captions["caption_id"]), "caption_id"
    ]
    if len(lost):
        raise DataError(
            f"{_CAPTIONS}: lacks the captions of {len(lost)} images, such as caption {lost.iloc[0]!r}"
        )
    unknown = sorted(set(image_set.images["part"]) - set(image_set.parts))
    if unknown:
        raise DataError(
            f"{_IMAGES}: has images of part {unknown[0]!r}, which {_DESCRIPTION} does not describe"
        )
    if image_set.source == GENERATED and image_set.manifest is None:
        raise DataError(f"{_MANIFEST}: is missing")
