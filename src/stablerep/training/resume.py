"""Every process of a training starts from one state: that of the newest checkpoint, or the initial one."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stablerep.errors import TrainingError
from stablerep.storage.checkpoints import Beside, set_state, state_of
from stablerep.training.checkpoint import Checkpoint, Progress
from stablerep.training.peers import Peers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Claim:
    """The state that a process found.

    Attributes:
        place: of the process.
        progress: of the state; step 0 where its folder has none.
        digest: of the state.
    """

    place: str
    progress: Progress
    digest: str


def resume(
    checkpoint: Checkpoint,
    networks: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    peers: Peers,
    beside: Beside | None = None,
) -> Progress:
    """Restores the state of a training in all processes, and checks that they have the same.

    Process 0 decides. Where it alone finds a checkpoint, because the folder is its machine's own, the others
    get its state.

    Args:
        checkpoint: its folder may be another one on each machine.
        networks: are changed in place, as are optimiser and average.
        optimizer: of the networks.
        average: of the weights.
        peers: the processes.
        beside: what is trained beside the networks, if anything.

    Raises:
        TrainingError: another process trains something else, or found another state; the message names it.
    """
    if peers.num == 1:
        return checkpoint.restore(networks, optimizer, average, beside=beside)
    _check_equal_trainings(peers.gather((peers.place, checkpoint.fingerprint)), checkpoint)
    if peers.rank == 0:
        progress = checkpoint.restore(networks, optimizer, average, beside=beside)
    peers.any(False)  # process 0 moves another run's files away before the others look
    if peers.rank != 0:
        progress = checkpoint.restore(networks, optimizer, average, sets_aside=False, beside=beside)
    state = state_of(networks, optimizer, average, beside)
    claim = _Claim(peers.place, progress, digest_of_state(state))
    first, *others = peers.gather(claim)
    lacking = [each for each in others if first.progress.step and not each.progress.step]
    _check_equal_states(first, [each for each in others if each not in lacking], checkpoint)
    if lacking:
        state = peers.tensors_of_first(state)
        if claim in lacking:
            logger.warning(
                "%s: no checkpoint in %s; takes the state of %s after step %d",
                claim.place, checkpoint.folder, first.place, first.progress.step,
            )  # fmt: skip
            set_state(state, networks, optimizer, average, beside)
    return first.progress


def digest_of_state(state: Mapping[str, Tensor]) -> str:
    """Returns a digest of names and values."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_equal_trainings(found: list[tuple[str, str]], checkpoint: Checkpoint) -> None:
    (first, wanted), *others = found
    different = [place for place, fingerprint in others if fingerprint != wanted]
    if different:
        raise TrainingError(
            f"arm {checkpoint.folder.name!r}: {', '.join(different)} would train something different from "
            f"{first}; settings, images and captions must be the same for all processes. Put the project's "
            "data folder on a file system that all machines mount, and start the same command on each."
        )


def _check_equal_states(first: _Claim, others: list[_Claim], checkpoint: Checkpoint) -> None:
    different = [
        each for each in others if (each.progress.step, each.digest) != (first.progress.step, first.digest)
    ]
    if different:
        told = ", ".join(f"{each.place} has {_state_of(each)}" for each in different)
        raise TrainingError(
            f"arm {checkpoint.folder.name!r}: {told}, but {first.place} has {_state_of(first)}; all "
            f"processes must start from the same. Put {checkpoint.folder} on a file system that all machines "
            f"mount, or remove it on the other machines: they then get the state of {first.place}."
        )


def _state_of(claim: _Claim) -> str:
    if not claim.progress.step:
        return "no state"
    return f"the state after step {claim.progress.step} (digest {claim.digest[:8]})"
