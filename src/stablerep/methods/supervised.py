"""Supervised training on the classes: what labels give without pretraining, an upper reference.

The cross-entropy over cosines to fixed classifier weights, one axis of the projected space for each class:
learned weights of the last layer add nothing to the accuracy (arXiv:1801.04540), and with fixed ones the loss
needs no more than the projection head that every method has.
Legend: N views of the batch, A of them anchors, K classes, D dimensions.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from stablerep.errors import ConfigError, check_range
from stablerep.methods.method import Embedded


@dataclass(frozen=True)
class Supervised:
    """The cross-entropy on the classes; an image without a label adds nothing.

    Attributes:
        temperature: divides the cosines; > 0.
    """

    temperature: float = 0.1

    key: ClassVar[str] = "method.supervised"
    images_per_caption: ClassVar[int] = 1
    views_per_image: ClassVar[int] = 1
    uses_head: ClassVar[bool] = True
    uses_text: ClassVar[bool] = False
    uses_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Checks the temperature; raises ConfigError."""
        check_range(f"{self.key}.temperature", self.temperature, 1e-6)

    def __call__(self, batch: Embedded, logit_scale: Tensor | None) -> dict[str, Tensor]:
        """Returns `classes`: the sum over this process's anchors, over the number of all labelled views.

        Raises:
            ConfigError: there are more classes than dimensions.
        """
        del logit_scale
        z_AD, labels_A = batch.z_ND[batch.anchors].float(), batch.labels_N[batch.anchors]
        num_dims = z_AD.shape[1]
        labelled_A = labels_A >= 0
        targets_A = torch.where(labelled_A, labels_A, 0)
        highest = int(batch.labels_N.max())
        if highest >= num_dims:
            raise ConfigError(
                f"{self.key}: got the class {highest}, counted from 0; must be < encoder.head.out_dim = "
                f"{num_dims}, because each class has a dimension of its own. Set encoder.head.out_dim in "
                "conf/params/encoder/<name>.yaml."
            )
        logits_AD = z_AD / self.temperature
        loss_A = torch.nn.functional.cross_entropy(logits_AD, targets_A, reduction="none")
        num_labelled = (batch.labels_N >= 0).sum().clamp(min=1)
        return {"classes": (loss_A * labelled_A).sum() / num_labelled}
