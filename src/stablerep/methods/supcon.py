"""SupCon: images of one class are positives of each other (arXiv:2004.11362), the upper reference.

It gets the classes that the others must find, so no method without labels is expected above it. Its loss,
the one with the sum outside of the logarithm (equation 2 there), is the multi-positive loss with classes for
captions, so it is computed by it.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from stablerep.methods.method import Embedded
from stablerep.methods.views import OverViews


@dataclass(frozen=True)
class SupCon(OverViews):
    """The multi-positive loss over views of one class; an image without a label is a class of its own.

    The attributes are those of `OverViews`.
    """

    key: ClassVar[str] = "method.supcon"
    uses_labels = True

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        """Returns `supervised`."""
        return {"supervised": self.loss(batch)}
