"""A run lists each corpus once; nothing is kept outside a run, for files may change between two."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kedro.pipeline import Pipeline

from pipelines import corpus, evaluation_sets
from pipelines.config.corpus import CORPORA, build_corpus, build_evaluation_set
from pipelines.run.current import CURRENT, ItemsHooks
from pipelines.run.preflight import PreflightHooks
from stablerep.corpora.image_folder import ImageFolder
from stablerep.errors import ConfigError
from tests.pipelines.small_projects import catalog_of, parameters_of, run, write_photos
from tests.stablerep.corpora.images import write_png, write_split_folders


@pytest.fixture
def parameters(tmp_path: Path) -> dict[str, Any]:
    photos, others = (
        write_photos(tmp_path / "photos"),
        write_split_folders(tmp_path / "others", first_seed=5000),
    )
    entry = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(others)}
    return parameters_of(photos, {"own": {"source": "corpus"}}, **{"evaluation_sets.others": entry})


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that are walked from now on, in order."""
    folders: list[str] = []
    walk = ImageFolder._list_images

    def counted(corpus: ImageFolder) -> dict[str, Any]:
        folders.append(Path(corpus.path).name)
        return walk(corpus)

    monkeypatch.setattr(ImageFolder, "_list_images", counted)
    return folders


class Loader(dict[str, Any]):
    """A loader of configuration that has composed."""

    runtime_params = None


def hooks_of(parameters: dict[str, Any]) -> PreflightHooks:
    hooks = PreflightHooks()
    context = SimpleNamespace(config_loader=Loader(parameters=parameters), project_path=Path("nowhere"))
    hooks.after_context_created(context)
    return hooks


def rooms(parameters: dict[str, Any]) -> Pipeline:
    return corpus.create_pipeline() + evaluation_sets.create_pipeline(parameters)


def test_the_checks_and_the_nodes_of_a_run_share_one_listing(
    parameters: dict[str, Any], listed: list[str], tmp_path: Path
) -> None:
    hooks, catalog = hooks_of(parameters), catalog_of(tmp_path)
    hooks.before_pipeline_run(rooms(parameters), catalog)
    try:
        run(rooms(parameters), catalog, parameters)
        # as the report does
        assert build_evaluation_set("others", parameters["evaluation_sets"]["others"]).tasks()
        assert build_corpus(parameters["corpus"]).tasks()
        assert sorted(listed) == ["others", "photos"]
        other_shares = parameters["corpus"] | {"split_shares": {"train": 0.6, "validation": 0.2, "test": 0.2}}
        assert build_corpus(other_shares).listing()["split"].value_counts()["train"] < 32
    finally:
        hooks.after_pipeline_run()


@pytest.mark.parametrize("end", ["after_pipeline_run", "on_pipeline_error"])
def test_a_later_run_of_the_process_sees_a_changed_folder(
    end: str, parameters: dict[str, Any], tmp_path: Path
) -> None:
    entry, hooks = parameters["evaluation_sets"]["others"], hooks_of(parameters)
    for number in (12, 13):
        hooks.before_pipeline_run(rooms(parameters), catalog_of(tmp_path))
        assert len(build_evaluation_set("others", entry).listing()) == number
        getattr(hooks, end)()
        write_png(tmp_path / "others/train/cat/new.png", 9000)
        assert len(build_evaluation_set("others", entry).listing()) == 13


def test_a_run_that_is_refused_or_was_interrupted_leaves_nothing(
    parameters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = parameters["corpus"]
    for number in range(20):
        write_png(tmp_path / f"flat/{number}.png", number)
    others = parameters["evaluation_sets"]["others"] | {"path": str(tmp_path / "flat")}
    refused = parameters | {"evaluation_sets": {"others": others}}
    with pytest.raises(ConfigError, match="have no labels"):
        hooks_of(refused).before_pipeline_run(rooms(refused), catalog_of(tmp_path))
    assert CORPORA.find(entry) is None
    hooks_of(parameters).before_pipeline_run(rooms(parameters), catalog_of(tmp_path))
    assert CORPORA.find(entry) is build_corpus(entry)
    monkeypatch.setattr(CURRENT, "parameters", parameters)
    monkeypatch.setattr(CURRENT, "stop", CURRENT.stop)
    ItemsHooks().after_context_created(SimpleNamespace(config_loader=Loader(parameters=parameters)))
    assert build_corpus(entry) is not build_corpus(entry)
