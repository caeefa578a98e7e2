"""What the processes of a training exchange besides the gathered features.

They talk over the CPU (gloo), in a group of their own, so that no GPU is waited for.
"""

import socket
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, distributed

T = TypeVar("T")


class Peers:
    """The processes of a training; each method must be called by all of them.

    Args:
        accelerator: that started or joined them.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.rank, self.num = accelerator.process_index, accelerator.num_processes
        self._group: Any = distributed.new_group(backend="gloo") if self.num > 1 else None

    @property
    def place(self) -> str:
        """This process, as messages name it."""
        return f"process {self.rank} on {socket.gethostname()}"

    def any(self, asked: bool) -> bool:
        """Returns whether it is so in any process."""
        if self.num == 1:
            return asked
        flag = torch.tensor([int(asked)])
        distributed.all_reduce(flag, distributed.ReduceOp.MAX, group=self._group)
        return bool(flag)

    def gather(self, value: T) -> list[T]:
        """Returns the values of all processes, by rank."""
        if self.num == 1:
            return [value]
        values: list[Any] = [None] * self.num
        distributed.all_gather_object(values, value, group=self._group)
        return values

    def tensors_of_first(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns copies of the tensors of process 0, on the CPU; those of the others are not looked at."""
        own = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
        if self.num == 1:
            return own
        layouts = self.gather([(name, each.shape, each.dtype) for name, each in own.items()])
        received = {}
        for name, shape, dtype in layouts[0]:
            received[name] = own[name].clone() if self.rank == 0 else torch.empty(shape, dtype=dtype)
            # as bytes: gloo does not know every type
            distributed.broadcast(received[name].reshape(-1).view(torch.uint8), 0, group=self._group)
        return received
