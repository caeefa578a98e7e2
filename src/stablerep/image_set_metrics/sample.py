"""The images of a set that are measured: all of a small set, a fixed choice of a large one.

Which images are chosen follows from a hash of their captions (of an evaluation set: of their keys), so that
sets of the same captions are measured on the same captions, and all images of a caption come together.
Legend: N images.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stablerep.corpora.corpus import Corpus, label_column
from stablerep.corpora.splits import uniform_of
from stablerep.evaluation.labelled_set import UNKNOWN, LabelledSet
from stablerep.image_sets.image_set import GENERATED, LABEL_PREFIX, ImageSet
from stablerep.image_sets.selection import in_random_order
from stablerep.storage.pixels import Pixels

Labels = Mapping[str, np.ndarray]
_CACHE_MIB = 0.0  # each image is read once


@dataclass(frozen=True, eq=False)
class Sample:
    """Measured images.

    Attributes:
        name: of the image set, or `<evaluation set>.<split>`.
        pixels: N images, read when they are needed.
        table: N rows with `image_id`, `caption_id`, `text` (empty for an image without a caption), `digest`,
            `generated` (whether a generator drew it) and `alignment` (NaN where it was not scored).
        labels: by task (N,) int64: the class that an image should show, -1 if it is not known.
        set_digests: the digests of all images of the set, of which N are measured.
    """

    name: str
    pixels: Pixels
    table: pd.DataFrame
    labels: Labels
    set_digests: frozenset[str]

    def __len__(self) -> int:
        """Returns N."""
        return len(self.table)

    @property
    def texts(self) -> list[str]:
        """The N captions."""
        return self.table["text"].tolist()

    @property
    def digest(self) -> str:
        """What the sample is: its images, in their order, and their captions."""
        columns = [self.table[name].tolist() for name in ("image_id", "digest", "text")]
        return hashlib.blake2b(json.dumps(columns).encode(), digest_size=16).hexdigest()


def sample_image_set(
    image_set: ImageSet,
    open_pixels: Callable[[ImageSet], Pixels],
    max_images: int,
    tasks: Mapping[str, Sequence[str]],
    labels_of: Mapping[str, Corpus],
) -> Sample:
    """Chooses the images of an image set.

    Args:
        image_set: of any source.
        open_pixels: finds the pixels of a set with fewer rows.
        max_images: N at most.
        tasks: of the reference: task -> class names.
        labels_of: by task the corpus that finds a caption's class if the set has no labels for the task.
    """
    images = in_random_order(image_set.images, "image_set_metrics").head(max_images).reset_index(drop=True)
    texts = images["caption_id"].map(image_set.captions.set_index("caption_id")["text"]).tolist()
    labels = {}
    for task in tasks:
        if LABEL_PREFIX + task in images and task not in labels_of:
            found = images[LABEL_PREFIX + task].fillna(UNKNOWN).to_numpy(dtype=np.int64)
        else:
            of_texts = labels_of[task].labels_of(texts)[task] if task in labels_of else [None] * len(texts)
            found = np.array([UNKNOWN if each is None else each for each in of_texts], dtype=np.int64)
        labels[task] = found
    table = pd.DataFrame(
        {
            "image_id": images["image_id"].astype(str),
            "caption_id": images["caption_id"].astype(str),
            "text": texts,
            "digest": images["digest"].astype(str),
            "generated": [image_set.parts[part] == GENERATED for part in images["part"]],
            "alignment": images["alignment"].astype(float) if "alignment" in images else np.nan,
        }
    )
    pixels = open_pixels(replace(image_set, images=images))
    return Sample(image_set.name, pixels, table, labels, frozenset(image_set.images["digest"]))


def sample_split(
    labelled: LabelledSet, split: str, open_pixels: Callable[[pd.DataFrame], Pixels], max_images: int
) -> Sample:
    """Chooses the images of a split of an evaluation set.

    Args:
        labelled: the set; its table may have `captions`, lists of texts, of which the first is taken.
        split: of the set.
        open_pixels: finds the pixels of rows of its table.
        max_images: N at most.
    """
    whole = labelled.table.iloc[labelled.rows(split)]
    order = np.argsort([uniform_of(f"image_set_metrics {key}") for key in whole["key"]], kind="stable")
    rows = whole.iloc[np.sort(order[:max_images])].reset_index(drop=True)
    texts = [each[0] if len(each) else "" for each in rows["captions"]] if "captions" in rows else ""
    table = pd.DataFrame(
        {
            "image_id": rows["key"].astype(str),
            "caption_id": rows["key"].astype(str),
            "text": texts,
            "digest": rows["digest"].astype(str),
            "generated": False,
            "alignment": np.nan,
        }
    )
    labels = {task: rows[label_column(task)].to_numpy(dtype=np.int64) for task in labelled.tasks}
    name = f"{labelled.name}.{split}"
    return Sample(name, open_pixels(rows), table, labels, frozenset(whole["digest"]))
