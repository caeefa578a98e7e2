"""StableRep: images of one caption are positives of each other (arXiv:2306.00984, section 3.2)."""

from dataclasses import dataclass

from torch import Tensor

from stablerep.errors import check_range
from stablerep.methods.method import Embedded, check_tile
from stablerep.methods.multi_positive import multi_positive_loss


@dataclass(frozen=True)
class StableRep:
    """The multi-positive loss over images_per_caption images of each caption, one view each.

    Attributes:
        images_per_caption: m, at least 2.
        temperature: 0.1 in the paper.
        tile: similarities held at once along each side; None holds the whole matrix.
    """

    images_per_caption: int = 6
    temperature: float = 0.1
    views_per_image: int = 1
    tile: int | None = None
    uses_head = True
    uses_text = False
    uses_labels = False

    def __post_init__(self) -> None:
        """Checks that an anchor can have a positive."""
        check_range("method.stablerep.images_per_caption", self.images_per_caption, 2)
        check_range("method.stablerep.temperature", self.temperature, 1e-6)
        check_tile("method.stablerep", self.tile)

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        """Returns `multi_positive`."""
        loss = multi_positive_loss(batch.z_ND, batch.labels_N, self.temperature, self.tile, batch.anchors)
        return {"multi_positive": loss}
