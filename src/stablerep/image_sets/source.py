"""What an arm learns from: the pixels of an image set, with the caption and the label of each image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stablerep.storage.pixels import Pixels


@dataclass(frozen=True)
class ImageSource:
    """An opened image set. Legend: I images, T captions.

    Attributes:
        name: of the image set.
        images: I of them.
        caption_rows: (I,) int64, the row in `texts` of each image's caption.
        texts: the captions; empty text for an image without one.
        labels: (I,) int64, the class of each image, -1 where it is not known; None where the set has no
            labels.
        origin: where the images come from, of `stablerep.image_sets.origin.origin_of`.
    """

    name: str
    images: Pixels
    caption_rows: Tensor
    texts: tuple[str, ...]
    labels: Tensor | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_captions(self) -> int:
        """Captions that have an image."""
        return len(torch.unique(self.caption_rows))
