"""The captioned images of a corpus, as the training images of a generator."""

import torch

from stablerep.corpora.corpus import Corpus
from stablerep.corpora.reading_in_place import ResizedPixels
from stablerep.errors import DataError
from stablerep.generation.pretraining.captioned_pixels import FixedPixels


class CorpusPixels(FixedPixels):
    """All images of a corpus in train that have captions, in memory: 3 S^2 bytes for each.

    Args:
        corpus: that has real images with captions. In a configuration its entry with `_target_`.
        size_px: S, the side of the images: the shorter side is resized and the centre cropped.

    Raises:
        DataError: no image in train has a caption.
    """

    def __init__(self, corpus: Corpus, size_px: int = 32) -> None:
        """Reads the images."""
        table = corpus.index()
        if table is not None:
            table = table[(table["split"] == "train") & (table["captions"].map(len) > 0)]
        if table is None or table.empty:
            raise DataError(
                f"pretraining.images: corpus {corpus.name!r} has no image with a caption in train; a "
                "generator learns from those. Choose a corpus with captioned images."
            )
        images = ResizedPixels(corpus.pixels(table), size_px)
        pixels = torch.stack([images.read(row) for row in range(len(images))])
        super().__init__(pixels, [list(texts) for texts in table["captions"]])
