"""Which process of a launcher keeps what, and what may run in several."""

from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from pipelines.run.current import CURRENT, ItemsHooks
from pipelines.run.items import encoder_of
from pipelines.run.launcher import check_launched, is_follower, num_launched
from stablerep.errors import ConfigError


def test_without_a_launcher_everything_may_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("RANK", raising=False)
    assert num_launched() == 1
    assert not is_follower()
    check_launched([])


def test_the_first_process_is_the_run_and_the_others_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, follows in (("0", False), ("1", True)):
        monkeypatch.setenv("RANK", rank)
        assert is_follower() == follows


@pytest.mark.parametrize(("namespaces", "told"), [([], "got none"), (["training.a", "other"], "got other")])
def test_only_arms_are_trained_in_several_processes(
    namespaces: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=f"--namespaces: {told} under a launcher of 2 processes"):
        check_launched(namespaces)
    check_launched(["training.stablerep", "training"])


ARMS = {"seeds": [0, 3], "arms": {"mine": {}, "other": {}}}


def test_a_follower_keeps_no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(CURRENT, "parameters", ARMS)
    names = [encoder_of(arm, seed) for arm in ("mine", "other") for seed in (0, 3)]
    for rank, kept in (("0", False), ("1", True)):
        monkeypatch.setenv("RANK", rank)
        catalog = DataCatalog({})
        ItemsHooks().after_catalog_created(catalog)
        for name in names:
            assert (name in catalog and isinstance(catalog[name], MemoryDataset)) == kept


@pytest.mark.parametrize(
    ("rank", "left"), [("0", {"mine/0", "other/3"}), ("1", {"mine/0", "mine/3", "other/3"})]
)
def test_the_first_process_removes_the_checkpoints_of_the_arms_that_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: str, left: set[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    for seed, arm in ((0, "mine"), (3, "mine"), (3, "other")):
        (tmp_path / f"seed_{seed}" / arm).mkdir(parents=True)
    catalog = DataCatalog({"training_work": MemoryDataset(tmp_path, copy_mode="assign")})
    ended = Pipeline([node(lambda: 1, None, encoder_of("mine", 3), name="train")])
    ItemsHooks().after_pipeline_run(ended, catalog)
    assert {f"{each.name}/{each.parent.name[5:]}" for each in tmp_path.glob("seed_*/*")} == left
