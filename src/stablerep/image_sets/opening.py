"""Opens a finished image set for training: finds the pixels of each row, wherever they are."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stablerep.corpora.corpus import Corpus
from stablerep.corpora.reading_in_place import ResizedPixels
from stablerep.errors import DataError
from stablerep.image_sets.image_set import CORPUS, GENERATED, LABEL_PREFIX, RENDERED, ImageSet
from stablerep.image_sets.origin import origin_of
from stablerep.image_sets.source import ImageSource
from stablerep.image_sets.stored_images import StoredImages
from stablerep.storage.pixels import ImagesInMemory, Pixels
from stablerep.storage.shards import digest_of


def open_image_set(
    image_set: ImageSet, corpus: Corpus, size_px: int, cache_mib: float, task: str | None = None
) -> ImageSource:
    """Finds where the pixels of a set are; decodes none of them.

    Args:
        image_set: of any source.
        corpus: reads its own images, and renders the rendered ones again.
        size_px: to which real images are resized where their set names no size: one batch has one size.
        cache_mib: of decoded images that a process keeps.
        task: whose labels the source has; the set's first one where it is None.

    Raises:
        DataError: a shard is missing, the set has no labels for `task`, or a rendered image has other pixels
            than the set says.
    """
    images = image_set.images
    opened = {
        part: _open_part(image_set, part, corpus, size_px, cache_mib)
        for part in images["part"].drop_duplicates()
    }
    pixels = next(iter(opened.values())) if len(opened) == 1 else JoinedPixels(images["part"], opened)
    row_of = {caption_id: row for row, caption_id in enumerate(image_set.captions["caption_id"])}
    rows = torch.tensor([row_of[caption_id] for caption_id in images["caption_id"]])
    texts = tuple(image_set.captions["text"])
    labels = _labels(image_set, task)
    return ImageSource(image_set.name, pixels, rows, texts, labels, origin_of(image_set))


def _labels(image_set: ImageSet, task: str | None) -> Tensor | None:
    tasks = image_set.tasks
    if task is not None and task not in tasks:
        raise DataError(
            f"image set {image_set.name!r}: has no labels of {task!r}; it has those of "
            f"{', '.join(tasks) or 'no task'}. Choose another task or another set."
        )
    if not tasks:
        return None
    labels = image_set.images[LABEL_PREFIX + (task or tasks[0])]
    return torch.from_numpy(labels.fillna(-1).to_numpy(dtype=np.int64, copy=True))


def _open_part(image_set: ImageSet, part: str, corpus: Corpus, size_px: int, cache_mib: float) -> Pixels:
    rows = image_set.images[image_set.images["part"] == part].reset_index(drop=True)
    rows = rows.dropna(axis="columns", how="all")  # columns of other parts
    rows = rows.astype(dict.fromkeys(rows.select_dtypes("Int64"), "int64"))
    source = image_set.parts[part]
    if source == GENERATED:
        return StoredImages(image_set.folder.parent / part, rows, cache_mib)
    if source == CORPUS:
        return ResizedPixels(corpus.pixels(rows), _facts_of(image_set, part).get("size_px") or size_px)
    if source == RENDERED:
        return _render_again(image_set, part, rows, corpus)
    raise ValueError(f"part {part!r} of image set {image_set.name!r}: unknown source {source!r}")


def _facts_of(image_set: ImageSet, part: str) -> dict[str, Any]:
    return image_set.facts if part == image_set.name else image_set.facts["of"][part]


def _render_again(image_set: ImageSet, part: str, rows: pd.DataFrame, corpus: Corpus) -> ImagesInMemory:
    texts = image_set.captions.set_index("caption_id")["text"]
    facts = _facts_of(image_set, part)
    per_caption, seed = facts["images_per_caption"], facts["seed"]
    wanted = rows["caption_id"].drop_duplicates()
    rendered = corpus.render([texts[each] for each in wanted], per_caption, part, seed)
    place = {caption_id: number * per_caption for number, caption_id in enumerate(wanted)}
    index = torch.tensor(
        [
            place[caption_id] + number
            for caption_id, number in zip(rows["caption_id"], rows["image_index"], strict=True)
        ]
    )
    pixels = rendered.pixels[index]
    for image, image_id, digest in zip(pixels, rows["image_id"], rows["digest"], strict=True):
        if digest_of(image.contiguous().numpy().tobytes()) != digest:
            raise DataError(
                f"image set {part!r}: {image_id} is rendered with other pixels than when the set was made. "
                f"Make it again: kedro run --namespaces image_sets.{part}"
            )
    return ImagesInMemory(pixels)


class JoinedPixels:
    """The pixels of several parts as one sequence."""

    def __init__(self, part_of_row: "pd.Series[str]", parts: dict[str, Pixels]) -> None:
        """Takes the part of each row, and each part's pixels in the order of its rows."""
        self.names = list(parts)
        self.parts = list(parts.values())
        numbers = {name: number for number, name in enumerate(self.names)}
        self.part_of = part_of_row.map(numbers).to_numpy(dtype=np.int64)
        self.row_in_part = part_of_row.groupby(part_of_row.to_numpy()).cumcount().to_numpy(dtype=np.int64)

    def __len__(self) -> int:
        """Returns how many images there are."""
        return len(self.part_of)

    def read(self, row: int) -> Tensor:
        """Returns an image, (3, H, W) uint8; raises UnreadableImageError."""
        return self.parts[self.part_of[row]].read(int(self.row_in_part[row]))

    def name_of(self, row: int) -> str:
        """Returns the part and what the image is called in it."""
        part = self.part_of[row]
        return f"{self.names[part]}: {self.parts[part].name_of(int(self.row_in_part[row]))}"

    def fingerprint(self) -> bytes:
        """Returns what tells these images from all others."""
        rows = self.part_of.tobytes() + self.row_in_part.tobytes()
        return b"\n".join([rows, *(part.fingerprint() for part in self.parts)])

    def subset(self, rows: Tensor) -> "JoinedPixels":
        """Returns the images of these rows, in this order."""
        chosen = JoinedPixels.__new__(JoinedPixels)
        chosen.names, chosen.parts = self.names, self.parts
        chosen.part_of = self.part_of[rows.numpy()]
        chosen.row_in_part = self.row_in_part[rows.numpy()]
        return chosen
