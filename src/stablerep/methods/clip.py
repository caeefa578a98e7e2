"""CLIP: an image and its caption are positives of each other (arXiv:2103.00020)."""

from dataclasses import dataclass

from torch import Tensor

from stablerep.methods.image_text import image_text_loss
from stablerep.methods.method import Embedded, check_tile


@dataclass(frozen=True)
class CLIP:
    """The image-text loss over one image a caption, with a learned temperature.

    Attributes:
        tile: similarities held at once along each side; None holds the whole matrix.
    """

    images_per_caption: int = 1
    views_per_image: int = 1
    tile: int | None = None
    temperature = None
    uses_head = False
    uses_text = True
    uses_labels = False

    def __post_init__(self) -> None:
        """Checks the tile."""
        check_tile("method.clip", self.tile)

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        """Returns `image_text`."""
        if batch.image_ND is None or batch.text_MD is None or batch.caption_N is None:
            raise ValueError("CLIP: got a batch without text; must have image_ND, text_MD, caption_N")
        if logit_scale is None:
            raise ValueError("CLIP: got no logit scale; must be a learned scalar")
        loss = image_text_loss(
            batch.image_ND,
            batch.text_MD,
            batch.caption_N,
            logit_scale,
            self.tile,
            batch.anchors,
            batch.text_anchors,
        )
        return {"image_text": loss}
