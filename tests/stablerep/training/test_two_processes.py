"""Two processes with different views of disks go on from one state, stop together, and count alike."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import PartialState
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from stablerep.errors import StableRepError
from stablerep.image_sets.source import ImageSource
from stablerep.methods.batch import BatchSettings
from stablerep.storage.checkpoints import state_of
from stablerep.storage.outages import OutageError
from stablerep.storage.pixels import ImagesInMemory, UnreadableImageError
from stablerep.training import views
from stablerep.training.checkpoint import Checkpoint, Row
from stablerep.training.inputs import Arm
from stablerep.training.loop import run_arm
from stablerep.training.resume import digest_of_state
from stablerep.training.settings import TrainingSettings
from tests.stablerep.training.test_step import METHODS, Same, networks, source

NUM_STEPS, STOPPED_AT = 8, 4
DAMAGED = (0, 5, 10, 15, 20, 25)
METHOD = METHODS["simclr"]


class FaultyImages(ImagesInMemory):
    """Images of which some are damaged, or of which the n-th and all later reads fail."""

    def __init__(
        self, images: torch.Tensor, damaged: tuple[int, ...] = (), fails_at: int | None = None
    ) -> None:
        super().__init__(images)
        self.damaged, self.fails_at, self.num_reads = damaged, fails_at, 0

    def read(self, row: int) -> torch.Tensor:
        self.num_reads += 1
        if self.fails_at is not None and self.num_reads >= self.fails_at:
            raise OutageError("x.tar: the file system failed")
        if row in self.damaged:
            raise UnreadableImageError(f"image {row}: has other bytes")
        return super().read(row)


def faulty(**faults: Any) -> ImageSource:
    whole = source()
    return replace(whole, images=FaultyImages(whole.images.images, **faults))


def stop_at(step: int) -> Callable[[Row], None]:
    def follow(row: Row) -> None:
        if row["step"] == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return follow


class Messages(logging.Handler):
    """Keeps the messages of warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def attempt(
    folder: Path,
    images: ImageSource | None = None,
    on_row: Callable[[Row], None] | None = None,
    fingerprint: str = "same",
) -> dict[str, Any]:
    """Trains in this process, with checkpoints in a folder; returns what came out."""
    messages = Messages()
    logging.getLogger("stablerep").addHandler(messages)
    settings = TrainingSettings(
        num_images=6 * 2 * NUM_STEPS, batch=BatchSettings(captions=6, images_per_caption=2), log_every=1
    )
    built = networks(METHOD)
    checkpoint = Checkpoint(folder, fingerprint, 1000.0, num_kept=10, every_steps=2)
    steps: list[float] = []

    def follow(row: Row) -> None:
        steps.append(row["step"])
        if on_row is not None:
            on_row(row)

    found: dict[str, Any] = {"error": None, "unreadable": None, "digest": None}
    try:
        history = run_arm(
            Arm("arm", METHOD, images or source(), 0), built, settings, None, follow, checkpoint
        )
        found["unreadable"] = history[-1]["unreadable_images"]
        optimizer = torch.optim.SGD(built.parameters(), lr=0.0)
        found["digest"] = digest_of_state(state_of(built, optimizer))
    except StableRepError as error:
        found["error"] = f"{type(error).__name__}: {error}"
    logging.getLogger("stablerep").removeHandler(messages)
    return found | {"steps": steps, "warnings": messages.texts}


def main(folder: Path) -> None:
    """Goes through all cases on this process; rank 0 prepares the folders of both."""
    views.Augmentation = Same  # type: ignore[misc, assignment]
    state = PartialState(cpu=True)
    rank = state.process_index

    def case(name: str, *of_ranks: str, **options: Any) -> None:
        """Runs a case with the folders of these names: the first process has the first, others the last."""
        state.wait_for_everyone()
        found = attempt(folder / of_ranks[min(rank, len(of_ranks) - 1)] / "arm", **options)
        (folder / f"{name}-{rank}.json").write_text(json.dumps(found))
        state.wait_for_everyone()

    def copy(name: str, to: str, keep: tuple[int, ...] = (2, 4)) -> Path:
        """Copies the checkpoints of some steps."""
        into = folder / to / "arm"
        if rank == 0:
            into.mkdir(parents=True)
            for step in keep:
                shutil.copy(folder / name / "arm" / f"step-{step}.safetensors", into)
        state.wait_for_everyone()
        return into

    stops = stop_at(STOPPED_AT) if rank == 0 else None
    case("whole", "whole")
    case("stopped", "stopped", on_row=stops)
    copy("stopped", "shared")
    case("shared", "shared")
    copy("stopped", "first of lone")
    case("lone", "first of lone", "none of lone")
    copy("stopped", "first of behind")
    copy("stopped", "second of behind", (2,))
    case("behind", "first of behind", "second of behind")
    copy("stopped", "first of changed")
    changed = copy("stopped", "second of changed")
    if rank == 0:
        change(changed / f"step-{STOPPED_AT}.safetensors")
    case("changed", "first of changed", "second of changed")
    copy("stopped", "second of lacking")
    case("lacking", "none of lacking", "second of lacking")
    copy("stopped", "foreign")
    case("foreign", "foreign", fingerprint="same" if rank == 0 else "other")
    case("damaged", "damaged", images=faulty(damaged=DAMAGED), on_row=stops)
    case("damaged again", "damaged", images=faulty(damaged=DAMAGED))
    # 3 of the batch's 6 images are this process's
    case("outage", "outage", images=faulty(fails_at=3 * 3 + 1 if rank == 1 else None))
    case("after outage", "outage")


def change(path: Path) -> None:
    """Changes one value of a checkpoint."""
    with safe_open(path, "pt") as file:
        facts = file.metadata()
    tensors = load_file(path)
    next(value for name, value in tensors.items() if name.startswith("model.")).view(-1)[0] += 1
    save_file(tensors, path, facts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Returns a folder with what both processes found in each case."""
    made = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    path = os.pathsep.join(each for each in sys.path if each)
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    subprocess.run([*command, __file__, str(made)], check=True, env=environment, timeout=300)
    yield made


@pytest.fixture
def found(folder: Path) -> Callable[[str], list[dict[str, Any]]]:
    return lambda name: [json.loads((folder / f"{name}-{rank}.json").read_text()) for rank in range(2)]


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(found: Callable[..., Any]) -> None:
    assert "stopped by a signal after step 4 of 8" in found("stopped")[0]["error"]
    assert "stopped by a signal after step 4 of 8" in found("stopped")[1]["error"]
    whole, shared = found("whole"), found("shared")
    assert {each["digest"] for each in whole + shared} == {whole[0]["digest"]} != {None}
    assert [each["steps"] for each in shared] == [[5, 6, 7, 8]] * 2


def test_a_process_without_a_checkpoint_gets_the_state_of_the_first(found: Callable[..., Any]) -> None:
    first, second = found("lone")
    assert (first["steps"], second["steps"]) == ([5, 6, 7, 8], [5, 6, 7, 8])
    assert first["digest"] == second["digest"] == found("whole")[0]["digest"]
    assert first["warnings"] == []
    (told,) = second["warnings"]
    assert told.startswith("process 1 on ") and "takes the state of process 0 on" in told


@pytest.mark.parametrize(
    ("case", "mine", "firsts"),
    [
        ("behind", "has the state after step 2", "has the state after step 4"),
        ("changed", "has the state after step 4", "has the state after step 4"),
        ("lacking", "has the state after step 4", "has no state"),
    ],
)
def test_processes_with_different_states_stop_and_name_the_machine(
    case: str, mine: str, firsts: str, found: Callable[..., Any]
) -> None:
    for each in found(case):
        assert each["steps"] == []
        assert each["error"].startswith("TrainingError: arm 'arm': process 1 on ")
        assert mine in each["error"].partition(", but process 0 on ")[0]
        assert firsts in each["error"].partition(", but process 0 on ")[2]


def test_a_process_that_would_train_something_else_stops_all_and_moves_no_file(
    found: Callable[..., Any], folder: Path
) -> None:
    for each in found("foreign"):
        assert (
            "process 1 on " in each["error"]
            and "would train something different from process 0" in each["error"]
        )
    assert sorted(path.name for path in (folder / "foreign/arm").iterdir()) == [
        "step-2.safetensors",
        "step-4.safetensors",
    ]


def test_unreadable_images_are_counted_once_however_many_processes_and_resumes(
    found: Callable[..., Any],
) -> None:
    for each in found("damaged again"):
        assert each["steps"] == [5, 6, 7, 8]
        assert 2 <= each["unreadable"] <= len(DAMAGED)
    first, second = found("damaged again")
    assert first["unreadable"] == second["unreadable"]
    seen = {
        text for name in ("damaged", "damaged again") for each in found(name) for text in each["warnings"]
    }
    assert first["unreadable"] == len({text for text in seen if "has other bytes" in text})


def test_an_outage_of_one_process_keeps_the_state_and_stops_all(
    found: Callable[..., Any], folder: Path
) -> None:
    for each in found("outage"):
        assert each["steps"] == [1, 2, 3]
        assert each["error"].startswith("DataError: arm 'arm': process 1 on ")
        assert "x.tar: the file system failed" in each["error"]
        assert each["error"].endswith("The state after step 3 is kept.")
    whole = found("whole")
    assert [each["digest"] for each in found("after outage")] == [each["digest"] for each in whole]
    assert [each["steps"] for each in found("after outage")] == [[4, 5, 6, 7, 8]] * 2


if __name__ == "__main__":
    main(Path(sys.argv[1]))
