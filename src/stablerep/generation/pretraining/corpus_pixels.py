"""The captioned images of a corpus, as the training images of a generator."""

import copy
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stablerep.corpora.corpus import Corpus
from stablerep.corpora.reading_in_place import ResizedPixels
from stablerep.errors import DataError
from stablerep.generation.pretraining.captioned_pixels import (
    NOTHING_TAKEN_DOWN,
    FixedPixels,
    TakenDown,
)


class CorpusPixels:
    """All images of a corpus in train that have captions, in memory: 3 S^2 bytes for each.

    They are read when they are first needed. What the corpus lacks is found before.

    Args:
        corpus: that has real images with captions. In a configuration its entry with `_target_`.
        size_px: S, the side of the images: the shorter side is resized and the centre cropped.
        mirrored: whether each image is also taken mirrored; None: where the corpus is mirrorable.

    Raises:
        DataError: the corpus has no images, or none in train has a caption.
    """

    def __init__(self, corpus: Corpus, size_px: int = 32, mirrored: bool | None = None) -> None:
        """Looks at the corpus's listing; reads no image."""
        self.corpus, self.size_px = corpus, size_px
        self.mirrored = corpus.mirrorable if mirrored is None else mirrored
        self.taken_down = NOTHING_TAKEN_DOWN
        if not corpus.has_images():
            raise self._nothing_to_learn_from("has no images of its own")
        listing = corpus.listing()
        if listing is not None:
            self._with_captions(listing)

    def count(self) -> int:
        """Returns the number of images, the mirrored ones included."""
        return self.fixed.count()

    def texts(self) -> Iterable[str]:
        """Returns all captions, each once."""
        return self.fixed.texts()

    def sample(self, num: int, *seed: int | str) -> tuple[Tensor, Tensor]:
        """Samples images with replacement; see `CaptionedPixels.sample`."""
        return self.fixed.sample(num, *seed)

    def take(self, start: int, num: int, seed: int) -> tuple[Tensor, Tensor]:
        """Takes images in their order; see `CaptionedPixels.take`."""
        return self.fixed.take(start, num, seed)

    def captions_of(self, key: Sequence[int], num: int, rng: np.random.Generator) -> list[str]:
        """Returns all captions of an image."""
        return self.fixed.captions_of(key, num, rng)

    def to(self, device: torch.device) -> FixedPixels:
        """Returns the images with their pixels on a device."""
        return self.fixed.to(device)

    def without(self, taken_down: TakenDown) -> "CorpusPixels":
        """Returns the images without those whose every caption was taken down.

        Raises:
            DataError: the corpus itself was taken down.
        """
        if self.corpus.name in taken_down.sources:
            raise self._nothing_to_learn_from("was taken down")
        left = copy.copy(self)
        left.__dict__.pop("fixed", None)
        left.taken_down = taken_down
        return left

    @cached_property
    def fixed(self) -> FixedPixels:
        """The images, read."""
        table = self.corpus.index()
        if table is None:
            raise self._nothing_to_learn_from("has no images of its own")
        table = self._with_captions(table)
        images = ResizedPixels(self.corpus.pixels(table), self.size_px)
        with ThreadPoolExecutor(thread_name_prefix="captioned-images") as threads:
            pixels = torch.stack(list(threads.map(images.read, range(len(images)))))
        whole = FixedPixels(pixels, table["captions"].tolist(), self.mirrored)
        return whole.without(self.taken_down)

    def _with_captions(self, table: pd.DataFrame) -> pd.DataFrame:
        """Returns the images in train with their captions; raises DataError where there are none."""
        captions = table["captions"].map(lambda texts: [text for text in texts if text.strip()])
        left = table.assign(captions=captions)[(table["split"] == "train") & (captions.map(len) > 0)]
        if left.empty:
            raise self._nothing_to_learn_from("has no image with a caption in train")
        return left.reset_index(drop=True)

    def _nothing_to_learn_from(self, fault: str) -> DataError:
        return DataError(
            f"pretraining.images: corpus {self.corpus.name!r} {fault}; a generator learns from images in "
            "train with captions. Choose a corpus with captioned images or, where the images have labels, "
            "set corpus.caption_templates, such as [a photo of a {class}], in conf/params/corpus/<name>.yaml."
        )
