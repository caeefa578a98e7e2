"""A node that does not see what the driver sees makes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from stablerep.errors import DataError, GeneratorError
from stablerep.generation.accounts.software import describe_software
from stablerep.generation.executors.ray_crew import Post
from stablerep.generation.executors.ray_worker import ShardWorker, expected_of
from stablerep.generation.image_sets.wanted import Wanted
from stablerep.generation.image_sets.workers import Workshop
from stablerep.storage.shards import SHARDS_FOLDER
from stablerep.storage.whole_files import PARTIAL_SUFFIX


@pytest.fixture
def workshop(tmp_path, settings):
    model = tmp_path / "model"
    model.mkdir()
    (model / "model_index.json").write_text("{}")
    return Workshop(model, settings(), Wanted("g-1", 0, 2, 3), tmp_path / "store")


def check(workshop, **changes):
    with expected_of(workshop, describe_software()) as expected:
        worker = ShardWorker(changes.pop("seen", workshop), 1)
        return worker.check_in(replace(expected, **{"token_wait_s": 0.0} | changes))


def test_a_node_that_sees_the_same_checks_in_and_no_token_is_left(workshop):
    assert "process" in check(workshop)
    assert list((workshop.store / SHARDS_FOLDER).iterdir()) == []


def test_a_token_that_a_killed_driver_left_is_removed_by_the_next_run(workshop):
    with expected_of(workshop, {}) as expected:
        # as plan_image_set takes what a dying writer left
        assert expected.token.parent == workshop.store / SHARDS_FOLDER
        assert expected.token.name.endswith(PARTIAL_SUFFIX)


def test_a_store_that_a_node_does_not_share_is_refused(workshop):
    with pytest.raises(
        DataError, match=r"store: the node .* does not see .*\(token-.*: missing\); must be one"
    ):
        check(workshop, token=Path("/nowhere/token-1"))
    with pytest.raises(DataError, match="other content"):
        check(workshop, text="of another run")


def test_a_model_that_a_node_does_not_share_is_refused(workshop, tmp_path):
    told = r"sees another model than the driver, namely model_index.json of no bytes instead of 2"
    with pytest.raises(GeneratorError, match=told):
        check(workshop, seen=replace(workshop, folder=tmp_path / "elsewhere"))
    with pytest.raises(GeneratorError, match="model_index.json of 2 bytes instead of 3"):
        check(workshop, files={"model_index.json": 3})


def test_a_node_with_other_versions_is_refused_and_another_device_is_told(workshop, caplog):
    here = describe_software()
    with pytest.raises(GeneratorError, match=r"has torch .* and the driver 0\.4; must be the same"):
        check(workshop, software=here | {"torch": "0.4"})
    check(workshop, software=here | {"device": "NVIDIA H100"})
    assert "software.json says NVIDIA H100" in caplog.text


def test_capacity_counts_living_nodes_and_whole_workers():
    def node(alive, **resources):
        return {"Alive": alive, "Resources": resources}

    nodes = [node(True, CPU=16.0, GPU=8.0), node(True, CPU=3.0, GPU=8.0), node(False, CPU=16.0, GPU=8.0)]
    assert Post(1, 1.0).capacity(nodes) == 8 + 3
    assert Post(2, 1.0).capacity(nodes) == 8 + 1
    assert Post(1, 0.0).capacity(nodes) == 16 + 3
    assert Post(1, 4.0).capacity([*nodes, node(True, CPU=4.0)]) == 2 + 2
