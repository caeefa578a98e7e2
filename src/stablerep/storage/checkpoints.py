"""Checkpoints of a training: one safetensors file; no pickles."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from stablerep.seeding import random_states, restore_random_states
from stablerep.storage.tensors import save_tensors

# A model that is trained beside another, its optimiser, and the average of its weights.
Beside = tuple[nn.Module, torch.optim.Optimizer, Mapping[str, Tensor]]


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    facts: Mapping[str, Any],
    average: Mapping[str, Tensor] | None = None,
    beside: Beside | None = None,
) -> None:
    """Writes the state of a training; a kill at any moment leaves the last whole file.

    torch's global random states are stored under `random.`.

    Args:
        path: the file.
        model: its weights are stored under `model.`.
        optimizer: its tensors are stored under `optimizer.<parameter index>.<name>`.
        facts: JSON-able values, such as the step.
        average: the moving average of the weights, stored under `average.`.
        beside: another model that is trained at the same time, stored likewise under `beside.`.

    Raises:
        DataError: the disk refuses, for instance because it is full.
    """
    tensors = state_of(model, optimizer, average, beside)
    tensors |= {f"random.{k}": v for k, v in random_states().items()}
    whole = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    save_tensors(path, whole, {"facts": json.dumps(dict(facts))})


def state_of(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Mapping[str, Tensor] | None = None,
    beside: Beside | None = None,
) -> dict[str, Tensor]:
    """Returns the tensors of a training by the names of `save_checkpoint`, random states left out."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in (average or {}).items()}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    if beside is not None:
        tensors |= {f"beside.{k}": v for k, v in state_of(*beside).items()}
    return tensors


def set_state(
    tensors: Mapping[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Mapping[str, Tensor] | None = None,
    beside: Beside | None = None,
) -> None:
    """Restores, in place, what `state_of` returned."""
    model.load_state_dict(_under(tensors, "model."))
    for name, value in (average or {}).items():
        value.copy_(tensors[f"average.{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _under(tensors, "optimizer.").items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
    if beside is not None:
        set_state(_under(tensors, "beside."), *beside)


def read_facts(path: Path) -> dict[str, Any]:
    """Returns the facts of a checkpoint without its tensors.

    Raises:
        SafetensorError: the file is cut or damaged.
        ValueError: the file has no facts, or facts that cannot be read.
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    if "facts" not in metadata:
        raise ValueError("it has no facts of a training")
    return json.loads(metadata["facts"])


def load_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor] | None = None,
    beside: Beside | None = None,
) -> dict[str, Any]:
    """Restores what `save_checkpoint` wrote, in place, and returns its facts."""
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["facts"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 -- no mapping
    set_state(tensors, model, optimizer, average, beside)
    restore_random_states(_under(tensors, "random."))
    return facts


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
