"""SimCLR: two views of one image are positives of each other (arXiv:2002.05709).

NT-Xent is the multi-positive loss with one positive per anchor, so it is computed by it.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from stablerep.methods.method import Embedded
from stablerep.methods.views import OverViews


@dataclass(frozen=True)
class SimCLR(OverViews):
    """NT-Xent over the views of each image; the attributes are those of `OverViews`."""

    key: ClassVar[str] = "method.simclr"
    uses_labels = False

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        """Returns `nt_xent`."""
        return {"nt_xent": self.loss(batch)}
