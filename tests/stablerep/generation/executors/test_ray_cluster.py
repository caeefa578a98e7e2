"""A Ray cluster makes the bytes of one process, whatever dies."""

import logging
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from stablerep.errors import ConfigError, DataError, GeneratorError
from stablerep.generation.executors import ray_cluster
from stablerep.generation.executors.local import LocalExecutor
from stablerep.generation.executors.ray_cluster import RayExecutor
from stablerep.storage.shards import SHARDS_FOLDER

NUM_STEPS = 3  # of each of the five shards, which are one batch each, of 1 to 5 images


def test_without_ray_it_says_which_extra_to_install(make, texts, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"not installed.*extra `cluster`.*or choose executor=local"):
        make(texts, "store", RayExecutor())
    with pytest.raises(ConfigError, match="extra `cluster`"):
        RayExecutor("auto").software({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_workers", 0),
        ("gpus_per_worker", -0.5),
        ("cpus_per_worker", 0),
        ("max_retries", -1),
        ("max_wait_s", -1.0),
    ],
)
def test_a_setting_out_of_range_names_its_key(name, value):
    with pytest.raises(ConfigError, match=rf"executor\.{name}: got {value}; must be >="):
        RayExecutor(**{name: value})


@pytest.fixture
def cluster(sampler, monkeypatch):
    """Returns a cluster of one node with one CPU; its processes know the sampler."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args=node_of_one_cpu())
    yield made
    made.shutdown()


def node_of_one_cpu():
    return {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}


@pytest.mark.slow
def test_a_killed_node_loses_nothing_and_the_set_is_that_of_one_process(
    make, texts, shards_of, sampler, cluster, caplog
):
    local = make(texts, "local", LocalExecutor(1))
    sampler.forget()
    sampler.slowly(2.0)
    node = cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    killed_at = []

    def kill_node_at_work():
        # both nodes are drawing: each has one CPU, so one process
        while len(sampler.processes()) < 2:
            time.sleep(0.05)
        killed_at.append(sum(sampler.steps().values()))
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill_node_at_work, daemon=True)
    killer.start()
    with caplog.at_level(logging.INFO):
        made = make(texts, "cluster", RayExecutor(cluster.address))
    killer.join(10)
    assert killed_at and killed_at[0] < 5 * NUM_STEPS
    assert made.ledger["num_made_images"] == 15
    assert shards_of(made.store) == shards_of(local.store)
    # what was lost is the shard in flight: it has steps of two processes, no other has one too many
    (told,) = [each for each in caplog.messages if "is made again" in each]
    assert "retry 1 of 3" in told
    too_many = sampler.steps() - Counter(dict.fromkeys(range(1, 6), NUM_STEPS))
    assert len(too_many) == 1 and 1 <= sum(too_many.values()) <= NUM_STEPS
    assert len([each for each in caplog.messages if "is up" in each]) >= 2

    # the cluster was joined, not started: it is still there
    sampler.slowly(0.0)
    again = make(texts, "again", RayExecutor(cluster.address, num_workers=1))
    assert shards_of(again.store) == shards_of(local.store)


@pytest.mark.slow
def test_what_ends_a_run_on_a_cluster_is_told_and_finished_shards_are_kept(
    make, texts, shards_of, sampler, cluster, monkeypatch, tmp_path
):
    executor = RayExecutor(cluster.address, max_retries=1, max_wait_s=60.0)
    sampler.kill(1, "always")
    with pytest.raises(GeneratorError, match=r"image.* was lost 2 times.*max_retries = 1.*are kept"):
        make(texts, "store", executor)
    sampler.spare(1)
    # the largest shard comes first, that of one image last
    kept = {path.name for path in (tmp_path / "store" / SHARDS_FOLDER).iterdir()}
    assert len(kept) == 4

    @contextmanager
    def of_another_folder(workshop, software):
        with expected_of(workshop, software) as expected:
            yield replace(expected, token=Path("/nowhere/token"), token_wait_s=0.0)

    expected_of = ray_cluster.expected_of
    with monkeypatch.context() as patch:
        patch.setattr(ray_cluster, "expected_of", of_another_folder)
        with pytest.raises(DataError, match="does not see what the driver writes") as caught:
            make(texts, "store", executor)
    assert "Traceback" not in str(caught.value)

    with pytest.raises(
        GeneratorError, match=r"holds a worker of 2 CPUs and 0 GPUs; it has 1 CPUs and 0 GPUs"
    ):
        make(texts, "store", RayExecutor(cluster.address, cpus_per_worker=2))
    with pytest.raises(GeneratorError, match="had room for a worker of 1 CPUs and 1 GPUs in 1 s"):
        make(texts, "store", RayExecutor(cluster.address, 1, gpus_per_worker=1, max_wait_s=1.0))

    sampler.forget()
    done = make(texts, "store", executor)
    assert sampler.steps() == {1: NUM_STEPS}
    assert shards_of(done.store) == shards_of(make(texts, "fresh", LocalExecutor(1)).store)
