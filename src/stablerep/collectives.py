"""Collective operations with gradients, for processes that each have some rows of a batch.

A process has a part of the batch's loss; the parts' sum is the loss. So the gradient of a tensor that others
used as well is the sum of what each process has for it, and that is what the backward passes give. In one
process a tensor is returned as it is.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def num_processes() -> int:
    """Returns how many processes compute together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def own_rows(num: int) -> slice:
    """Returns the rows of this process among the gathered ones; each process has the same number."""
    start = num * (dist.get_rank() if dist.is_initialized() else 0)
    return slice(start, start + num)


def gather(own: Tensor) -> Tensor:
    """Returns the tensors of all processes, concatenated in the order of ranks.

    Args:
        own: of the same shape on every process. Its gradient is summed over the processes, each of which gets
            its own rows of the sum alone (reduce-scatter).
    """
    return _Gather.apply(own) if num_processes() > 1 else own


def sum_of_all(own: Tensor) -> Tensor:
    """Returns the sum of the tensor over all processes, on every one; the gradients are summed likewise."""
    return _Sum.apply(own) if num_processes() > 1 else own


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        whole = own.new_empty(num_processes() * len(own), *own.shape[1:])
        dist.all_gather_into_tensor(whole, own.contiguous())
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous()
        own = whole.new_empty(len(whole) // num_processes(), *whole.shape[1:])
        dist.reduce_scatter_tensor(own, whole)
        return own


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total
