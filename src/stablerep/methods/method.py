"""What a method is: a loss, and how the batches that it needs are drawn.

Legend: N embeddings, M captions in the batch, k small crops of this process, D dimensions.
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor

from stablerep.errors import ConfigError, check_range


@dataclass(frozen=True)
class Embedded:
    """A batch after the networks.

    Attributes:
        z_ND: projected images, unit length, float32; empty (0, D) where the method has no head.
        labels_N: int64, equal for views that are positives of each other.
        image_ND: images projected for the comparison with text, unit length, or None.
        text_MD: captions projected, unit length, or None.
        caption_N: row in text_MD of each image's caption, or None.
        anchors: rows of images whose part of the loss this process computes.
        text_anchors: rows of text_MD likewise.
        local_kD: small crops of this process, projected, unit length, or None.
        local_labels_k: int64, of each the label of its image in `labels_N`, or None.
        num_local: small crops of all processes.
    """

    z_ND: Tensor
    labels_N: Tensor
    image_ND: Tensor | None = None
    text_MD: Tensor | None = None
    caption_N: Tensor | None = None
    anchors: slice = field(default_factory=lambda: slice(None))
    text_anchors: slice = field(default_factory=lambda: slice(None))
    local_kD: Tensor | None = None
    local_labels_k: Tensor | None = None
    num_local: int = 0


@runtime_checkable
class Method(Protocol):
    """A method of the paper.

    Attributes:
        images_per_caption: images of one caption in a batch.
        views_per_image: augmented views of one image in a batch.
        temperature: of the loss over z_ND; None where it has none.
        uses_head: whether z_ND is needed.
        uses_text: whether the text tower is needed.
        uses_labels: whether positives are the images of one class; else of one caption, or of one image
            where it has several views.
    """

    images_per_caption: int
    views_per_image: int
    temperature: float | None
    uses_head: bool
    uses_text: bool
    uses_labels: bool

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        """Returns the parts of the loss by name, scalars; their sum is minimised.

        Several processes have the whole batch, and each computes the terms of its own anchors: what they
        return is added up. `methods.parts` checks that this gives the loss of one process.
        """
        ...


def check_tile(key: str, tile: int | None) -> None:
    """Raises ConfigError for a tile that is no whole number from 1, under the method's key."""
    if tile is not None:
        if not isinstance(tile, int):
            raise ConfigError(f"{key}.tile: got {tile!r}; must be a whole number of rows, or null.")
        check_range(f"{key}.tile", tile, 1)
