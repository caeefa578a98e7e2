"""The state of an arm's training, kept so that a killed run can continue."""

import json
import logging
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from stablerep.storage.checkpoints import Beside, load_checkpoint, read_facts, save_checkpoint
from stablerep.storage.tensors import remove_leftovers
from stablerep.storage.whole_files import written_whole

logger = logging.getLogger(__name__)
Row = dict[str, float]
ASIDE = "earlier-"  # prefix of the name of a folder with another run's state


@dataclass
class Progress:
    """The progress of a training.

    Attributes:
        step: steps done.
        history: rows so far.
        sums: of the measurements since the last row.
        unreadable: of each image that could not be read, its name and why.
    """

    step: int = 0
    history: list[Row] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def add(self, measured: Row) -> None:
        """Adds the measurements of a step."""
        for name, value in measured.items():
            self.sums[name] = self.sums.get(name, 0.0) + value


class Checkpoint:
    """The folder in which a run keeps its state.

    Args:
        folder: of the files, `step-<number>.safetensors`; the caller removes it when the result is stored.
        fingerprint: of everything that determines the result; the state of another run is not continued.
        every_s: seconds between two files.
        num_kept: number of files to keep, the newest ones.
        every_steps: a file is also written at multiples of this number; None goes by the time alone.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        every_s: float,
        num_kept: int = 1,
        every_steps: int | None = None,
    ) -> None:
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
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: dict[str, Tensor],
        sets_aside: bool = True,
        beside: Beside | None = None,
    ) -> Progress:
        """Restores networks, optimiser, average, what is trained beside them, and torch's random states.

        Uses the newest file that can be read. If it is another run's, the training starts from the beginning,
        and the files that were there are moved to a folder inside this one.

        Args:
            model: the networks.
            optimizer: of the networks.
            average: of their weights.
            sets_aside: whether files are moved and removed; one of several processes does it.
            beside: what is trained beside the networks, if anything.
        """
        if sets_aside:
            remove_leftovers(self.folder)
        for path in reversed(self.files()):
            try:
                facts = read_facts(path)
            except (SafetensorError, ValueError) as error:
                logger.warning("%s: cannot be read (%s); trying an earlier one", path, error)
                if sets_aside:
                    self._set_aside([path], "damaged")
                continue
            if facts.pop("fingerprint", None) != self.fingerprint:
                break
            load_checkpoint(path, model, optimizer, average, beside)
            self._last_s = time.monotonic()
            return Progress(**facts)
        if sets_aside:
            self._set_aside(self.files(), "of another run; starting from the beginning")
        return Progress()

    def write_batch(self, step: int, part: int, images: list[str], captions: list[str]) -> Path:
        """Writes the images and captions of a process's part of a batch."""
        path = self.folder / f"batch-of-step-{step}-part-{part}.json"
        with written_whole(path) as beside:
            facts = {"step": step, "images": images, "captions": captions}
            beside.write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")
        return path

    def _set_aside(self, files: list[Path], why: str) -> None:
        """Moves files out of the way, so that they do not count among the newest."""
        if not files:
            return
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=self.folder))
        for each in files:
            each.rename(aside / each.name)
        logger.warning("%s: %s; the files that were there are in %s", self.folder, why, aside)

    def is_due(self, step: int) -> bool:
        """Returns whether the state after `step` steps is due to be written, by their number or by time."""
        by_step = self.every_steps is not None and step % self.every_steps == 0
        return by_step or time.monotonic() - self._last_s >= self.every_s

    def keep(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        progress: Progress,
        average: dict[str, Tensor],
        beside: Beside | None = None,
    ) -> None:
        """Writes the state.

        Raises:
            DataError: the disk refuses.
        """
        facts = {"fingerprint": self.fingerprint} | asdict(progress)
        path = self.folder / f"step-{progress.step}.safetensors"
        save_checkpoint(path, model, optimizer, facts, average, beside)
        for each in self.files()[: -self.num_kept]:
            each.unlink()
        self._last_s = time.monotonic()


def _step_of(path: Path) -> int:
    return int(path.stem.partition("-")[2])
