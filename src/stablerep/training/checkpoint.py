"""The state of an arm's training, kept so that a run that is killed goes on."""

import json
import logging
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from stablerep.storage.checkpoints import load_checkpoint, read_facts, save_checkpoint
from stablerep.storage.whole_files import written_whole

logger = logging.getLogger(__name__)
Row = dict[str, float]
ASIDE = "earlier-"  # begins the name of a folder with another run's state


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        step: steps done.
        history: rows so far.
        sums: of what was measured since the last row.
        unreadable: of each image that could not be read, its name and why.
    """

    step: int = 0
    history: list[Row] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def add(self, measured: Row) -> None:
        """Adds what a step measured."""
        for name, value in measured.items():
            self.sums[name] = self.sums.get(name, 0.0) + value


class Checkpoint:
    """Where a run keeps its state, and which run's state it is.

    Args:
        folder: of the files, `step-<number>.safetensors`; removed by whoever keeps the result.
        fingerprint: of everything that decides the result; the state of another run is not gone on with.
        every_s: seconds between two writings.
        num_kept: files that are kept, the newest ones.
        every_steps: a multiple of which is written as well; None looks at the time alone.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        every_s: float,
        num_kept: int = 1,
        every_steps: int | None = None,
    ) -> None:
        """Remembers them; writes nothing yet."""
        self.folder = folder
        self.fingerprint = fingerprint
        self.every_s = every_s
        self.num_kept = num_kept
        self.every_steps = every_steps
        self._last_s = time.monotonic()

    def files(self) -> list[Path]:
        """Returns the files, the oldest first."""
        return sorted(self.folder.glob("step-*.safetensors"), key=_step_of)

    def newest(self) -> Path | None:
        """Returns the newest file."""
        return next(reversed(self.files()), None)

    def restore(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor]
    ) -> Progress:
        """Restores networks, optimiser, average and torch's random states.

        Goes back to the newest file that can be read. Where none is this run's, it starts anew; what was
        there is set aside in a folder beside, which goes with this one.
        """
        for path in reversed(self.files()):
            try:
                facts = read_facts(path)
            except (SafetensorError, ValueError) as error:
                logger.warning("%s: cannot be read (%s); looks for an earlier one", path, error)
                self._set_aside([path], "damaged")
                continue
            if facts.pop("fingerprint", None) != self.fingerprint:
                break
            load_checkpoint(path, model, optimizer, average)
            self._last_s = time.monotonic()
            return Progress(**facts)
        self._set_aside(self.files(), "of another run; starts anew")
        return Progress()

    def write_batch(self, step: int, part: int, images: list[str], captions: list[str]) -> Path:
        """Writes which images and captions a process's part of a batch held."""
        path = self.folder / f"batch-of-step-{step}-part-{part}.json"
        with written_whole(path) as beside:
            told = {"step": step, "images": images, "captions": captions}
            beside.write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")
        return path

    def _set_aside(self, files: list[Path], why: str) -> None:
        """Moves files out of the way, so that they take no other's place among the newest."""
        if not files:
            return
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=self.folder))
        for each in files:
            each.rename(aside / each.name)
        logger.warning("%s: %s; what was there is in %s", self.folder, why, aside)

    def keep(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        progress: Progress,
        average: dict[str, Tensor],
        last: bool,
    ) -> None:
        """Writes the state if the time or the step has come, or if it is the last."""
        due = self.every_steps is not None and progress.step % self.every_steps == 0
        if last or due or time.monotonic() - self._last_s >= self.every_s:
            facts = {"fingerprint": self.fingerprint} | asdict(progress)
            path = self.folder / f"step-{progress.step}.safetensors"
            save_checkpoint(path, model, optimizer, facts, average)
            for each in self.files()[: -self.num_kept]:
                each.unlink()
            self._last_s = time.monotonic()


def _step_of(path: Path) -> int:
    return int(path.stem.partition("-")[2])
