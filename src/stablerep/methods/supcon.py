"""SupCon: images of one class are positives of each other (arXiv:2004.11362), the upper reference.

It is told the classes that the others must find, so no method without labels is expected above it. Its loss,
the one with the sum outside of the logarithm (equation 2 there), is the multi-positive loss with classes for
captions, so it is computed by it.
"""

from dataclasses import dataclass

from torch import Tensor

from stablerep.errors import check_range
from stablerep.methods.method import Embedded, check_tile
from stablerep.methods.multi_positive import multi_positive_loss


@dataclass(frozen=True)
class SupCon:
    """The multi-positive loss over views of one class; an image without a label is a class of its own.

    Attributes:
        temperature: 0.1, as for StableRep and in the paper.
        views_per_image: at least 2, so that an image that is alone in its class has a positive.
        tile: similarities held at once along each side; None holds the whole matrix.
    """

    temperature: float = 0.1
    views_per_image: int = 2
    images_per_caption: int = 1
    tile: int | None = None
    uses_head = True
    uses_text = False
    uses_labels = True

    def __post_init__(self) -> None:
        """Checks ranges."""
        check_range("method.supcon.views_per_image", self.views_per_image, 2)
        check_range("method.supcon.temperature", self.temperature, 1e-6)
        check_tile("method.supcon", self.tile)

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        """Returns `supervised`."""
        loss = multi_positive_loss(batch.z_ND, batch.labels_N, self.temperature, self.tile)
        return {"supervised": loss}
