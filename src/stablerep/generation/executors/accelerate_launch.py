"""Makes shards under `accelerate launch`: for machines on which processes are started that way.

Every launched process takes its share of the shards, by rank, and keeps one process that draws on the rank's
device. So whatever dies while drawing is replaced beside the rank: the launcher ends all ranks when one ends.
https://huggingface.co/docs/accelerate/basic_tutorials/launch
"""

import logging
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stablerep.errors import GeneratorError, check_range
from stablerep.generation.executors.local import LocalExecutor
from stablerep.generation.executors.processes import Seat, make_in_processes
from stablerep.generation.image_sets.plan import ShardPlan
from stablerep.generation.image_sets.workers import MadeShard, Workshop
from stablerep.processes import end_with

logger = logging.getLogger(__name__)

_WHERE = "conf/params/executor/accelerate.yaml"
_MODULE = "stablerep.generation.executors.launched"
_JOB = "job"
_MADE, _FAULT = ".made", ".fault"
_LOOK_S = 0.2


@dataclass(frozen=True)
class Job:
    """What the launched processes are to do.

    Attributes:
        workshop: where and how.
        plans: of all shards.
        num_threads: of each process.
        max_retries: times that a shard is made again whose process died.
        driver: id of the process that waits for the shards.
    """

    workshop: Workshop
    plans: list[ShardPlan]
    num_threads: int
    max_retries: int
    driver: int


class AccelerateExecutor:
    """The processes of one `accelerate launch` on this machine."""

    def __init__(self, num_cpu_processes: int = 1, max_retries: int = 2) -> None:
        """Checks ranges.

        Args:
            num_cpu_processes: where there is no GPU; with GPUs it is one process for each that is visible.
            max_retries: times that a shard is made again whose process died, and that all is launched again.

        Raises:
            ConfigError: a value is out of range.
        """
        check_range("executor.num_cpu_processes", num_cpu_processes, 1, 256, where=_WHERE)
        check_range("executor.max_retries", max_retries, 0, 1000, where=_WHERE)
        self.max_retries = max_retries
        self._local = LocalExecutor(num_cpu_processes, max_retries)

    @property
    def label(self) -> str:
        """What the speed depends on."""
        return f"{self._local.label} under accelerate launch"

    def num_processes(self, num_shards: int) -> int:
        """Returns how many processes draw that many shards."""
        return self._local.num_processes(num_shards)

    def software(self, here: dict[str, str]) -> dict[str, str]:
        """Returns what is here: it is this machine that draws."""
        return here

    def make(self, workshop: Workshop, plans: Sequence[ShardPlan]) -> Iterator[MadeShard]:
        """Makes shards and yields each when it is written.

        Args:
            workshop: where and how.
            plans: of the shards, the largest first.

        Raises:
            GeneratorError: a shard was lost too often, or the model cannot be used. What was yielded is on
                the disk.
        """
        seats = self._local.seats()
        left = {plan.name: plan for plan in plans}
        for launch in range(self.max_retries + 1):
            waiting = list(left.values())
            job = Job(workshop, waiting, seats[0].num_threads, self.max_retries, os.getpid())
            with tempfile.TemporaryDirectory(prefix="stablerep-launch-") as folder:
                for made in _launch(Path(folder), job, min(len(seats), len(waiting))):
                    del left[made.name]
                    yield made
            if not left:
                return
            logger.warning("accelerate launch ended %d shards early (launch %d)", len(left), launch + 1)
        raise GeneratorError(
            f"generation: accelerate launch ended {self.max_retries + 1} times before all was made, with "
            f"{len(left)} of {len(plans)} shards missing; its messages stand above. The finished shards are "
            "kept: run again, or choose executor=local."
        )


def _launch(folder: Path, job: Job, num: int) -> Iterator[MadeShard]:
    (folder / _JOB).write_bytes(pickle.dumps(job))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(num)]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    # the port 0 is a free one; on a CPU, too, several processes come of this switch
    command += ["--multi_gpu", "--main_process_port", "0"] if num > 1 else []
    command += ["-m", _MODULE, str(folder)]
    # so that the ranks find what this process has found, wherever it was put on its path
    path = os.pathsep.join(each for each in sys.path if each)
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": str(job.num_threads)}
    process = subprocess.Popen(command, env=environment)  # noqa: S603 -- our own module
    try:
        ended = False
        while not ended:
            ended = process.poll() is not None  # before the look: what is written last is seen as well
            for path_of_made in sorted(folder.glob(f"*{_MADE}")):
                made = pickle.loads(path_of_made.read_bytes())  # noqa: S301 -- our own folder
                path_of_made.unlink()
                yield made
            time.sleep(0 if ended else _LOOK_S)
    finally:
        process.terminate()
        process.wait()
    for path_of_fault in sorted(folder.glob(f"*{_FAULT}")):
        raise pickle.loads(path_of_fault.read_bytes())  # noqa: S301 -- our own folder


def work_off(folder: Path, rank: int, num_ranks: int, device: int | None) -> None:
    """Makes the share of one rank; writes each shard's answer, and what went wrong, into the job's folder.

    Args:
        folder: of the job.
        rank: of this process.
        num_ranks: processes that were launched.
        device: index of this process's GPU, or None on a CPU.
    """
    job: Job = pickle.loads((folder / _JOB).read_bytes())  # noqa: S301 -- written by `_launch`
    end_with(job.driver)
    share, seat = job.plans[rank::num_ranks], Seat(job.num_threads, device)
    try:
        for made in make_in_processes(job.workshop, share, [seat], job.max_retries):
            _write(folder / f"{made.name}{_MADE}", made)
    except Exception as error:
        _write(folder / f"{rank}{_FAULT}", error)


def _write(path: Path, value: object) -> None:
    beside = path.with_name(f"{path.name}.partial")
    beside.write_bytes(pickle.dumps(value))
    beside.replace(path)
