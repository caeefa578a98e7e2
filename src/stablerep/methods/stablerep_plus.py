"""StableRep+: StableRep with language supervision (arXiv:2306.00984, section 3.4)."""

from dataclasses import dataclass, field

from torch import Tensor

from stablerep.errors import check_range
from stablerep.methods.clip import CLIP
from stablerep.methods.method import Embedded, check_tile
from stablerep.methods.stablerep import StableRep


@dataclass(frozen=True)
class StableRepPlus:
    """The multi-positive loss plus the image-text loss.

    Attributes:
        images_per_caption: m, at least 2.
        temperature: of the multi-positive part.
        text_weight: of the image-text part; 1 in the paper.
        tile: similarities held at once along each side; None holds the whole matrices.
    """

    images_per_caption: int = 6
    temperature: float = 0.1
    text_weight: float = 1.0
    views_per_image: int = 1
    tile: int | None = None
    uses_head = True
    uses_text = True
    uses_labels = False
    _image_part: StableRep = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Checks ranges."""
        check_range("method.stablerep_plus.images_per_caption", self.images_per_caption, 2)
        check_range("method.stablerep_plus.temperature", self.temperature, 1e-6)
        check_tile("method.stablerep_plus", self.tile)
        check_range("method.stablerep_plus.text_weight", self.text_weight, 0)
        object.__setattr__(
            self, "_image_part", StableRep(self.images_per_caption, self.temperature, tile=self.tile)
        )

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        """Returns `multi_positive` and the weighted `image_text`."""
        parts = self._image_part(batch, logit_scale)
        text = CLIP(tile=self.tile)(batch, logit_scale)["image_text"]
        return parts | {"image_text": self.text_weight * text}
