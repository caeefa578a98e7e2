"""BatchNorm over the rows of all processes, on any device: torch's SyncBatchNorm needs a GPU.

Legend: N rows of one process, F features.
"""

import torch
from torch import Tensor, nn

from stablerep.collectives import num_processes, sum_of_all
from stablerep.methods.multi_positive import at_least_float32


class SharedBatchNorm1d(nn.BatchNorm1d):
    """BatchNorm1d whose statistics, while it is trained, are those of every process's rows together.

    In one process it is BatchNorm1d.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalises (N, F) rows; every process has the same number of them."""
        if not self.training or num_processes() == 1:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            x_NF = at_least_float32(input)
            count = len(x_NF) * num_processes()
            mean_F = sum_of_all(x_NF.sum(dim=0)) / count
            # in two passes: the mean of squares less the square of the mean would lose precision
            centred_NF = x_NF - mean_F
            variance_F = sum_of_all(centred_NF.square().sum(dim=0)) / count
            self._track(mean_F.detach(), variance_F.detach() * count / (count - 1))
            y_NF = centred_NF * torch.rsqrt(variance_F + self.eps)
            if self.affine:
                y_NF = y_NF * self.weight + self.bias
            return y_NF.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean_F: Tensor, variance_F: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        assert self.momentum is not None  # noqa: S101 -- torch's default, no cumulative average
        self.running_mean.lerp_(mean_F, self.momentum)
        self.running_var.lerp_(variance_F, self.momentum)
        self.num_batches_tracked += 1


def share_batch_norms(network: nn.Module) -> None:
    """Makes every BatchNorm1d of a network a shared one, in place; names and weights stay."""
    for module in network.modules():
        if type(module) is nn.BatchNorm1d:
            module.__class__ = SharedBatchNorm1d
