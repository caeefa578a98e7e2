r"""Linear classifiers of one task at many learning rates, trained by SGD in one pass over the features.

For each learning rate there are two: one on the features as they are, and one behind a BatchNorm without
affine parameters. All see the same batches, so a batch of features is read once. For the classifier h with
weights W_h and a batch of features x with labels y, in the notation of torch.optim.SGD:

    g_h = 1 / B  sum_b (p_b - onehot(y_b)) x_b^T,     v_h <- m v_h + g_h,     W_h <- W_h - r_h v_h

Legend: B images of a batch, F features, H learning rates, K classes, V = 2 (without and with BatchNorm).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

EPSILON = 1e-6  # of the BatchNorm, as in the authors' main_linear.py


@dataclass(frozen=True, eq=False)
class LinearHeads:
    """Linear classifiers of one task.

    Attributes:
        weights: (V, H K, F + 1), the last column the intercepts.
        num_classes: K.
    """

    weights: Tensor
    num_classes: int

    def logits(self, inputs_VBF: Tensor) -> Tensor:
        """Maps (V, B, F + 1) to (V, B, H, K)."""
        flat = torch.bmm(inputs_VBF, self.weights.transpose(1, 2))
        return flat.unflatten(2, (-1, self.num_classes))

    def predict(self, inputs_VBF: Tensor) -> Tensor:
        """Maps (V, B, F + 1) to (V, B, H) int64 classes."""
        return self.logits(inputs_VBF).argmax(dim=3)

    def keep(self, places: Sequence[int]) -> "LinearHeads":
        """Returns one classifier of each of the V kinds, at these V places of H."""
        parts = [
            self.weights[kind, place * self.num_classes : (place + 1) * self.num_classes]
            for kind, place in enumerate(places)
        ]
        return LinearHeads(torch.stack(parts), self.num_classes)


class SgdHeads:
    """The V H classifiers of a task while they are trained. Weights start at 0: the problem is convex.

    Args:
        num_features: F.
        num_classes: K.
        learning_rates: H peak rates.
        momentum: m.
        device: of the weights.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        learning_rates: Sequence[float],
        momentum: float,
        device: torch.device,
    ) -> None:
        self.rates = torch.tensor(learning_rates, device=device).repeat_interleave(num_classes)[:, None]
        weights = torch.zeros(2, len(self.rates), num_features + 1, device=device)
        self.heads = LinearHeads(weights, num_classes)
        self.momentum, self.velocities = momentum, torch.zeros_like(weights)

    def step(self, inputs_VBF: Tensor, targets: Tensor, schedule: float) -> None:
        """Takes one step of SGD.

        Args:
            inputs_VBF: (V, B, F + 1) features, the last one 1.
            targets: (B,) int64 classes.
            schedule: share of the peak rates, in [0, 1].
        """
        residuals = self.heads.logits(inputs_VBF).softmax(dim=3)
        residuals[:, torch.arange(len(targets), device=targets.device), :, targets] -= 1
        gradients = torch.bmm(residuals.flatten(2).transpose(1, 2), inputs_VBF)
        self.velocities.mul_(self.momentum).add_(gradients, alpha=1 / len(targets))
        self.heads.weights.sub_(schedule * self.rates * self.velocities)


class BatchNormInputs:
    """Turns a batch of features into the inputs of classifiers without and with BatchNorm.

    Args:
        num_features: F.
        device: where this is done.
    """

    def __init__(self, num_features: int, device: torch.device) -> None:
        self.device = device
        self.norm = nn.BatchNorm1d(num_features, eps=EPSILON, affine=False).to(device)

    @torch.no_grad()
    def __call__(self, features: Tensor, training: bool) -> Tensor:
        """Maps (B, F) to (V, B, F + 1).

        Args:
            features: float32.
            training: whether the batch's own statistics are used, and added to the running ones.
        """
        features = features.to(self.device)
        ones = features.new_ones(len(features), 1)
        normed = self.norm.train(training)(features)
        return torch.stack([torch.cat([each, ones], dim=1) for each in (features, normed)])
