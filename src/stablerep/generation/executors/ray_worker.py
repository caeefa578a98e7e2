"""What runs on a node of a Ray cluster; a plain class, so that it is tested without Ray."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import torch

from stablerep.errors import DataError, GeneratorError
from stablerep.generation.accounts.software import describe_software
from stablerep.generation.image_sets.plan import ShardPlan
from stablerep.generation.image_sets.workers import MadeShard, ShardMaker, Workshop
from stablerep.processes import log_to_terminal
from stablerep.storage.shards import SHARDS_FOLDER
from stablerep.storage.whole_files import PARTIAL_SUFFIX

logger = logging.getLogger(__name__)

_TOKEN_WAIT_S = 30.0  # a network file system may show a new file late: 30 s is nfs(5)'s acdirmin
_LOOK_S = 0.2


@dataclass(frozen=True)
class Expected:
    """What a node must see and have, as the driver does.

    Attributes:
        token: a file that the driver wrote into the store.
        text: what it holds.
        files: of the model's folder, path -> bytes.
        software: as `describe_software` gives it.
        token_wait_s: seconds until the token must have appeared.
    """

    token: Path
    text: str
    files: dict[str, int]
    software: dict[str, str]
    token_wait_s: float


class ShardWorker:
    """Makes shards on one node, the model loaded once."""

    def __init__(self, workshop: Workshop, num_threads: int) -> None:
        """Prepares the process; nothing here may fail, because Ray would report it as a death."""
        log_to_terminal()
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        torch.set_num_threads(num_threads)
        self.workshop = workshop
        self.maker = ShardMaker(workshop)
        self.place = f"{socket.gethostname()}, process {os.getpid()}"

    def check_in(self, expected: Expected) -> str:
        """Checks that this node sees and has what the driver does.

        Returns:
            The node's name and the process id, for messages.

        Raises:
            DataError: the store is another folder here.
            GeneratorError: the model is missing or another one here, or the software is of other versions.
        """
        self._check_store(expected)
        self._check_model(expected)
        self._check_software(expected)
        return self.place

    def _check_store(self, expected: Expected) -> None:
        deadline = time.monotonic() + expected.token_wait_s
        while (found := _read(expected.token)) != expected.text:
            if time.monotonic() > deadline:
                raise DataError(
                    f"{self.workshop.store}: the node {self.place} does not see what the driver writes there "
                    f"({expected.token.name}: {'missing' if found is None else 'other content'}); must be "
                    "one folder for all nodes, under the same path. Put the project's data folder on a file "
                    "system that all nodes mount, such as NFS or Lustre."
                )
            time.sleep(_LOOK_S)

    def _check_model(self, expected: Expected) -> None:
        files = files_of_folder(self.workshop.folder)
        if files != expected.files:
            name = min(name for name, _ in set(files.items()) ^ set(expected.files.items()))
            raise GeneratorError(
                f"{self.workshop.folder}: the node {self.place} sees another model than the driver, namely "
                f"{name} of {files.get(name, 'no')} bytes instead of {expected.files.get(name, 'none')}; "
                "must be the same. Put it on a file system that all nodes mount, or copy it to this path on "
                "each."
            )

    def _check_software(self, expected: Expected) -> None:
        here = describe_software()
        for name in here:
            if name != "device" and here[name] != expected.software.get(name):
                raise GeneratorError(
                    f"generation: the node {self.place} has {name} {here[name]} and the driver "
                    f"{expected.software.get(name)}; must be the same, for images depend on it. Install "
                    "requirements.lock on every node."
                )
        if here["device"] != expected.software["device"]:
            logger.warning(
                "%s draws on %s, the set's software.json says %s: kernels round differently",
                self.place, here["device"], expected.software["device"],
            )  # fmt: skip

    def make(self, plan: ShardPlan) -> MadeShard:
        """Makes a shard."""
        return self.maker.make(plan)


@contextmanager
def expected_of(workshop: Workshop, software: dict[str, str]) -> Iterator[Expected]:
    """Writes a token into the store, by which a node shows that it sees it; removes it in the end.

    It is named like a half-written shard: where the driver is killed, the next run removes it.
    """
    text = uuid4().hex
    token = workshop.store / SHARDS_FOLDER / f"token-{text}{PARTIAL_SUFFIX}"
    try:
        token.parent.mkdir(parents=True, exist_ok=True)
        token.write_text(text)
    except OSError as error:
        raise DataError(
            f"{token}: cannot be written ({error.strerror or error}). Free some space or fix the permissions "
            "and run again."
        ) from error
    try:
        yield Expected(token, text, files_of_folder(workshop.folder), software, _TOKEN_WAIT_S)
    finally:
        token.unlink(missing_ok=True)


def files_of_folder(folder: Path) -> dict[str, int]:
    """Returns the files below a folder, path -> bytes: digests of gigabytes would take minutes."""
    if not folder.is_dir():
        return {}
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
