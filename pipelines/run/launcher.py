"""Runs under a launcher (`accelerate launch`, `torchrun`), which starts the same command several times.

    accelerate launch --num_processes 8 -m kedro run --namespaces training.stablerep

The first process is the run: it holds the data folder, tracks, and keeps the encoder. The others follow it
through the same nodes and keep nothing. Only arms are trained so: every other stage is one process's.
"""

import os
from collections.abc import Sequence

from stablerep.errors import ConfigError

_ROOM = "training"


def num_launched() -> int:
    """Returns how many processes a launcher has started; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_follower() -> bool:
    """Tells whether this process is one of a launcher's, and not the first."""
    return num_launched() > 1 and int(os.environ.get("RANK", "0")) > 0


def check_launched(namespaces: Sequence[str]) -> None:
    """Raises ConfigError where a launcher's processes would do more than train arms."""
    wrong = [each for each in namespaces if each.partition(".")[0] != _ROOM]
    if num_launched() > 1 and (wrong or not namespaces):
        raise ConfigError(
            f"--namespaces: got {', '.join(wrong) or 'none'} under a launcher of {num_launched()} processes; "
            f"must be {_ROOM}.<arm>, for only arms are trained in several. Add it, and run the stages before "
            "and after with `kedro run` alone."
        )
