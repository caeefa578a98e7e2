"""SimCLR: two views of one image are positives of each other (arXiv:2002.05709).

NT-Xent is the multi-positive loss with one positive an anchor, so it is computed by it.
"""

from dataclasses import dataclass

from torch import Tensor

from stablerep.errors import check_range
from stablerep.methods.method import Embedded, check_tile
from stablerep.methods.multi_positive import multi_positive_loss


@dataclass(frozen=True)
class SimCLR:
    """NT-Xent over two views of each image; captions play no part.

    Attributes:
        temperature: 0.1, as for StableRep.
        tile: similarities held at once along each side; None holds the whole matrix.
    """

    temperature: float = 0.1
    views_per_image: int = 2
    images_per_caption: int = 1
    tile: int | None = None
    uses_head = True
    uses_text = False
    uses_labels = False

    def __post_init__(self) -> None:
        """Checks ranges."""
        check_range("method.simclr.views_per_image", self.views_per_image, 2)
        check_range("method.simclr.temperature", self.temperature, 1e-6)
        check_tile("method.simclr", self.tile)

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        """Returns `nt_xent`."""
        return {"nt_xent": multi_positive_loss(batch.z_ND, batch.labels_N, self.temperature, self.tile)}
