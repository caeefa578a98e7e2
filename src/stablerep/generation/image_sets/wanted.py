"""The image set that a run is asked for: its captions, and what every image of it has in common."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from stablerep.curation.people.takedowns import CAPTION, SOURCE, taken_down
from stablerep.errors import DataError
from stablerep.generation.diffusion.generator import ImageRequest
from stablerep.generation.diffusion.settings import PHILOX
from stablerep.storage.shards import check_caption_id

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What the images of a wanted set have in common.

    Attributes:
        generator_id: see stablerep.generation.diffusion.identity.
        seed: of the image set.
        images_per_caption: images of each caption, with indices from 0.
        num_shards: files.
        noise: what the images' noise is drawn by; see `diffusion.settings`.
        further: indices beyond these, by caption id.
        keeps_spare: whether intact images of other indices stay, because the policy may still ask for them.
    """

    generator_id: str
    seed: int
    images_per_caption: int
    num_shards: int
    noise: str = PHILOX
    further: Mapping[str, Sequence[int]] = field(default_factory=dict)
    keeps_spare: bool = False

    def indices_of(self, caption_id: str, there: Iterable[int] = ()) -> list[int]:
        """Returns the indices of a caption's images, given those that are there."""
        wanted = {*range(self.images_per_caption), *self.further.get(caption_id, ())}
        return sorted(wanted.union(there) if self.keeps_spare else wanted)


@dataclass(frozen=True)
class CaptionPlan:
    """What must be done for one caption.

    Attributes:
        caption_id: its id.
        text: what is drawn.
        source: where the caption comes from.
        licence: its terms.
        kept: image index -> shard, or sample of the cache, that holds it.
        rejected: indices of the images that the safety checker blanked, from the kept record.
        truncated: from the kept record; None if nothing is kept.
        missing: indices of the images to make.
    """

    caption_id: str
    text: str
    source: str
    licence: str
    kept: dict[int, Path] = field(default_factory=dict)
    rejected: tuple[int, ...] = ()
    truncated: bool | None = None
    missing: tuple[int, ...] = ()

    @property
    def done(self) -> set[int]:
        """Indices of the images that need not be made."""
        return {*self.kept, *self.rejected}

    def requests(self) -> list[ImageRequest]:
        """Returns the images to draw."""
        return [ImageRequest(self.caption_id, self.text, index) for index in self.missing]


def distinct_captions(captions: pd.DataFrame) -> list[CaptionPlan]:
    """Returns the captions by id; of equal ones the first.

    Raises:
        DataError: there are none, a column is missing, or an id cannot name a sample.
    """
    absent = sorted({"caption_id", "text"} - set(captions.columns))
    if absent:
        raise DataError(
            f"caption set: column {', '.join(absent)} is missing; must be there besides "
            f"{', '.join(map(str, captions.columns))}. Run the curation pipeline."
        )
    if captions.empty:
        raise DataError(
            "caption set: got no captions; must be at least one. See data/03_primary/"
            "rejected_captions.parquet for what curation dropped and why."
        )
    plans: dict[str, CaptionPlan] = {}
    for row in captions.to_dict("records"):
        check_caption_id(row["caption_id"])
        if not isinstance(row["text"], str) or not _shows_something(row["text"]):
            raise DataError(
                f"caption {row['caption_id']!r}: got {row['text']!r}; must have a letter, number or sign to "
                "draw. Run the curation pipeline, whose filters drop such captions and count them."
            )
        source, licence = (str(row.get(key, "unknown")) for key in ("source", "licence"))
        plans.setdefault(row["caption_id"], CaptionPlan(row["caption_id"], row["text"], source, licence))
    return [plans[caption_id] for caption_id in sorted(plans)]


def _shows_something(text: str) -> bool:
    return any(letter.isprintable() and not letter.isspace() for letter in text)


def without_taken_down(captions: list[CaptionPlan], takedowns: pd.DataFrame) -> list[CaptionPlan]:
    """Returns the captions that were not taken down: a takedown may be younger than the caption set.

    Raises:
        DataError: none is left.
    """
    ids, sources = taken_down(takedowns, CAPTION), taken_down(takedowns, SOURCE)
    left = [each for each in captions if each.caption_id not in ids and each.source not in sources]
    if not left:
        raise DataError(
            f"caption set: all {len(captions)} captions were taken down; must be at least one that is not. "
            "Add captions to the corpus."
        )
    if len(left) < len(captions):
        logger.warning(
            "%d captions of the set were taken down: no image is kept or made", len(captions) - len(left)
        )
    return left
