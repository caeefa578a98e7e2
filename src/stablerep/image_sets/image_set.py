"""A finished image set: a table with one row per image, its captions, and what is known about it.

Pixels are not in the table: a generated set's lie in its shards, a corpus's where the corpus keeps them, and
rendered ones are drawn again by the corpus. `stablerep.image_sets.opening` reads all three.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.errors import DataError

GENERATED, CORPUS, RENDERED, MIXTURE = "generated", "corpus", "rendered", "mixture"
SOURCES = (GENERATED, CORPUS, RENDERED, MIXTURE)
# Every set has these; a set's source adds where the pixels are, and a label column for each task.
IMAGE_COLUMNS = ("image_id", "caption_id", "part", "digest")
CAPTION_COLUMNS = ("caption_id", "text", "source", "licence")
LABEL_PREFIX = "label."


@dataclass(frozen=True)
class ImageSet:
    """A finished image set.

    Attributes:
        name: of the set in the configuration.
        source: one of `SOURCES`.
        images: one row per image that may be trained on, with `IMAGE_COLUMNS`; `part` is the name of the set
            whose pixels the row points to: the set itself, or a part of a mixture.
        captions: one row per caption, with `CAPTION_COLUMNS`; empty texts for images without captions.
        parts: part -> its source.
        folder: of the set; the shards of a generated part lie in `folder.parent / part`.
        manifest: every image that was made, the rejected ones too; None where nothing was generated.
        facts: what the set's ledger says: counts, cost, gate, generator.
    """

    name: str
    source: str
    images: pd.DataFrame
    captions: pd.DataFrame
    parts: dict[str, str]
    folder: Path
    manifest: pd.DataFrame | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises DataError for a set without images."""
        if self.images.empty:
            raise DataError(
                f"image set {self.name!r}: has no image; it must have at least one. Check what its gate, its "
                f"policy and the settings under image_sets.{self.name} leave of it."
            )

    @property
    def tasks(self) -> list[str]:
        """The tasks for which images have labels."""
        return [
            name.removeprefix(LABEL_PREFIX) for name in map(str, self.images) if name.startswith(LABEL_PREFIX)
        ]

    @property
    def has_captions(self) -> bool:
        """Whether every image has a caption."""
        return bool((self.captions["text"] != "").all())


def describe(image_set: ImageSet) -> str:
    """Returns one line for the log: how many images of how many captions, from where."""
    num_captions = image_set.images["caption_id"].nunique()
    return (
        f"image set {image_set.name} ({image_set.source}): {len(image_set.images):,} images of "
        f"{num_captions:,} captions"
    )
