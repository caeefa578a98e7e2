"""Which process of a launcher keeps what, and what may run in several."""

import pytest
from pipelines.run.arms import ArmsHooks, arms_to_register, encoder_of

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


def test_a_follower_keeps_no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    from kedro.io import DataCatalog, MemoryDataset

    monkeypatch.setenv("WORLD_SIZE", "2")
    name = encoder_of(arms_to_register()[0]["name"])
    for rank, kept in (("0", False), ("1", True)):
        monkeypatch.setenv("RANK", rank)
        catalog = DataCatalog({})
        ArmsHooks().after_catalog_created(catalog)
        assert (name in catalog and isinstance(catalog[name], MemoryDataset)) == kept
