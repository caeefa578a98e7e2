"""The state of an arm's training, kept so that a run that is killed goes on."""

import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from stablerep.checkpoints import load_checkpoint, read_facts, save_checkpoint

logger = logging.getLogger(__name__)
Row = dict[str, float]


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        step: steps done.
        history: rows so far.
        sums: of what was measured since the last row.
    """

    step: int = 0
    history: list[Row] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, measured: Row) -> None:
        """Adds what a step measured."""
        for name, value in measured.items():
            self.sums[name] = self.sums.get(name, 0.0) + value


class Checkpoint:
    """Where a run keeps its state, and which run's state it is.

    Args:
        path: of the file; removed by whoever keeps the result.
        fingerprint: of everything that decides the result; the state of another run is not gone on with.
        every_s: seconds between two writings.
    """

    def __init__(self, path: Path, fingerprint: str, every_s: float) -> None:
        """Remembers them; writes nothing yet."""
        self.path = path
        self.fingerprint = fingerprint
        self.every_s = every_s
        self._last_s = time.monotonic()

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Restores the networks, the optimiser and torch's random states; a new start where nothing fits."""
        if not self.path.exists():
            return Progress()
        if read_facts(self.path).get("fingerprint") != self.fingerprint:
            logger.info("%s: of another run; starts anew", self.path)
            return Progress()
        facts = load_checkpoint(self.path, model, optimizer)
        del facts["fingerprint"]
        self._last_s = time.monotonic()
        return Progress(**facts)

    def keep(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, last: bool
    ) -> None:
        """Writes the state if the time has come, or if it is the last."""
        if last or time.monotonic() - self._last_s >= self.every_s:
            facts = {"fingerprint": self.fingerprint} | asdict(progress)
            save_checkpoint(self.path, model, optimizer, facts)
            self._last_s = time.monotonic()
