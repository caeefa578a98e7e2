"""Makes shards on a Ray cluster, of one machine or many.

Workers are actors that hold the loaded model; each is handed a shard when it is free. When one dies, or the
node that it is on, its shard is handed to another. Ray is the extra `cluster` and imported here alone.
https://docs.ray.io/en/latest/ray-core/fault-tolerance.html
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from stablerep.errors import ConfigError, GeneratorError, check_range
from stablerep.generation.accounts.software import describe_software
from stablerep.generation.executors.ray_crew import Crew, Post
from stablerep.generation.executors.ray_worker import expected_of
from stablerep.generation.executors.shard_queue import ShardQueue
from stablerep.generation.image_sets.plan import ShardPlan
from stablerep.generation.image_sets.workers import MadeShard, Workshop

logger = logging.getLogger(__name__)

_WHERE = "conf/params/executor/ray.yaml"
_OWN_OBJECT_STORE_BYTES = 2**29  # holds plans and records only; Ray would take 30 % of the memory


class RayExecutor:
    """The actors of a Ray cluster."""

    def __init__(
        self,
        address: str | None = None,
        num_workers: int | None = None,
        gpus_per_worker: float | None = None,
        cpus_per_worker: int = 1,
        max_retries: int = 3,
        max_wait_s: float = 600.0,
    ) -> None:
        """Checks ranges; connects to nothing yet.

        Args:
            address: `auto` for the cluster that this machine belongs to, or host:port; None for RAY_ADDRESS
                where it is set and a Ray of this machine alone where it is not.
            num_workers: actors; None for as many as the cluster holds, nodes that join later among them.
            gpus_per_worker: GPUs of each; None for 1 where the cluster has any and 0 where it has none.
            cpus_per_worker: CPUs and threads of each.
            max_retries: times that a shard is made again whose worker died.
            max_wait_s: seconds without a single worker until it is given up.

        Raises:
            ConfigError: a value is out of range.
        """
        if num_workers is not None:
            check_range("executor.num_workers", num_workers, 1, 100_000, where=_WHERE)
        if gpus_per_worker is not None:
            check_range("executor.gpus_per_worker", gpus_per_worker, 0, 64, where=_WHERE)
        check_range("executor.cpus_per_worker", cpus_per_worker, 1, 1024, where=_WHERE)
        check_range("executor.max_retries", max_retries, 0, 1000, where=_WHERE)
        check_range("executor.max_wait_s", max_wait_s, 0, where=_WHERE)
        self.address = address
        self.num_workers = num_workers
        self.gpus_per_worker = gpus_per_worker
        self.cpus_per_worker = cpus_per_worker
        self.max_retries = max_retries
        self.max_wait_s = max_wait_s
        self._software: dict[str, str] | None = None

    @property
    def label(self) -> str:
        """What the speed depends on."""
        return f"Ray at {self.address}, {self.num_workers} workers"

    def num_processes(self, num_shards: int) -> int | None:
        """Returns how many actors draw that many shards; None where the cluster's size decides."""
        return None if self.num_workers is None else min(self.num_workers, num_shards)

    def software(self, here: dict[str, str]) -> dict[str, str]:
        """Returns the versions and the device of a worker; the driver's machine may have no GPU.

        Args:
            here: those of the driver's machine.

        Raises:
            ConfigError: Ray is not installed.
            GeneratorError: the cluster cannot be reached or has no room for a worker.
        """
        if _is_own(self.address):
            return here
        with _connected(self.address) as ray:
            post = self._post(ray)
            asked = ray.remote(**post.resources())(describe_software).remote()
            try:
                self._software = ray.get(asked, timeout=self.max_wait_s)
            except ray.exceptions.GetTimeoutError as error:
                raise GeneratorError(
                    f"generation: no node of the Ray cluster had room for {post} in {self.max_wait_s:.0f} s. "
                    f"Add nodes, stop what they are busy with, or set executor.max_wait_s in {_WHERE}."
                ) from error
        return self._software

    def make(self, workshop: Workshop, plans: Sequence[ShardPlan]) -> Iterator[MadeShard]:
        """Makes shards and yields each when it is written.

        Args:
            workshop: where and how; the nodes must see its folders under the same paths.
            plans: of the shards, the largest first.

        Raises:
            ConfigError: Ray is not installed.
            DataError: a node does not see the store.
            GeneratorError: a shard was lost too often, the cluster cannot be reached or has no room, or the
                model cannot be used. What was yielded is on the disk.
        """
        # a worker's current folder is another one
        shop = replace(workshop, folder=workshop.folder.resolve(), store=workshop.store.resolve())
        queue = ShardQueue(plans, self.max_retries)
        device = (self._software or describe_software())["device"]
        software = describe_software() | {"device": device}  # versions as here, where the plan was made
        with _connected(self.address) as ray, expected_of(shop, software) as expected:
            crew = Crew(ray, self._post(ray), shop, expected, self.num_workers)
            try:
                yield from crew.work(queue, self.max_wait_s)
            finally:
                crew.dismiss()
        queue.close()

    def _post(self, ray: Any) -> Post:
        num_gpus = self.gpus_per_worker
        if num_gpus is None:
            num_gpus = 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0
        post = Post(self.cpus_per_worker, num_gpus)
        if self.num_workers is None and not post.capacity(ray.nodes()):
            raise GeneratorError(
                f"generation: no node of the Ray cluster holds {post}; it has {_describe(ray.nodes())}. Add "
                f"nodes, or set executor.cpus_per_worker and executor.gpus_per_worker in {_WHERE}; where "
                "nodes start on demand, set executor.num_workers."
            )
        return post


def _describe(nodes: list[dict[str, Any]]) -> str:
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    return (
        ", ".join(f"{each.get('CPU', 0):g} CPUs and {each.get('GPU', 0):g} GPUs" for each in alive) or "none"
    )


def _is_own(address: str | None) -> bool:
    """Tells whether the Ray is one of this machine alone, that ends with the run."""
    return (address or os.environ.get("RAY_ADDRESS") or "local") == "local"


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Joins or starts a Ray; ends what it started, no more."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when a Ray is started
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "executor: ray needs the package ray, which is not installed. Install the extra `cluster` "
            "(pip install 'stablerep[cluster]'; requirements.lock holds it), or choose executor=local."
        ) from error
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"address": address or os.environ.get("RAY_ADDRESS")}
    if _is_own(address):
        options |= {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": _OWN_OBJECT_STORE_BYTES,
        }
    # Ray would put its own format on the handlers of whoever is the root
    logging.getLogger("ray").setLevel(logging.WARNING)
    try:
        ray.init(configure_logging=False, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise GeneratorError(
            f"executor.address: got {address!r}; no Ray cluster answers there ({error}). Start one with "
            "`ray start --head --disable-usage-stats`, or set executor.address to null for a Ray of this "
            "machine."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()
