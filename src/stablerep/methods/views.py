"""What SimCLR and SupCon share: a multi-positive loss over several views of each image."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from stablerep.errors import check_range
from stablerep.methods.method import Embedded, check_tile
from stablerep.methods.multi_positive import multi_positive_loss


@dataclass(frozen=True)
class OverViews:
    """The settings of a loss over views of single images, and the loss.

    Attributes:
        temperature: 0.1, as for StableRep.
        views_per_image: at least 2, so that an image that is alone in its class has a positive.
        images_per_caption: 1; captions play no part.
        tile: similarities held at once along each side; None holds the whole matrix.
        key: the method's section, for messages.
    """

    temperature: float = 0.1
    views_per_image: int = 2
    images_per_caption: int = 1
    tile: int | None = None
    uses_head = True
    uses_text = False
    key: ClassVar[str]

    def __post_init__(self) -> None:
        """Checks ranges."""
        check_range(f"{self.key}.views_per_image", self.views_per_image, 2)
        check_range(f"{self.key}.temperature", self.temperature, 1e-6)
        check_tile(self.key, self.tile)

    def loss(self, batch: Embedded) -> Tensor:
        """Returns the multi-positive loss over the batch's labels, a scalar."""
        return multi_positive_loss(batch.z_ND, batch.labels_N, self.temperature, self.tile, batch.anchors)
