"""Evaluation sets: one sub-pipeline each, and the corpus itself is not read twice."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines import corpus, evaluation_sets
from pipelines.corpus.nodes import index_corpus
from stablerep.errors import ConfigError
from tests.pipelines.small_projects import catalog_of, parameters_of, run, write_photos
from tests.stablerep.corpora.images import write_class_folders


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="module")
def parameters(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The corpus itself as one evaluation set, other photos as another."""
    others = write_class_folders(tmp_path_factory.mktemp("data") / "others", 20)
    folder = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(others)}
    return parameters_of(photos, {"own": {"source": "corpus"}}, **{"evaluation_sets.others": folder})


def test_each_set_becomes_a_table_of_its_own(parameters: dict[str, Any], tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path)
    run(corpus.create_pipeline() + evaluation_sets.create_pipeline(parameters), catalog, parameters)
    held_out, others = (catalog.load(f"evaluation_set_of_{name}") for name in ("held_out", "others"))
    pd.testing.assert_frame_equal(held_out, catalog.load("corpus_images"))
    for table in (held_out, others):
        assert set(table["split"]) == {"train", "validation", "test"}
        assert set(table["label.class"]) == {0, 1}


def test_the_corpus_is_an_input_of_its_set_and_read_by_its_own_room_alone(parameters: dict[str, Any]) -> None:
    graph = evaluation_sets.create_pipeline(parameters)
    (held_out,) = graph.filter(node_namespaces=["evaluation_sets.held_out"]).nodes
    assert (held_out.inputs, held_out.outputs) == (["corpus_images"], ["evaluation_set_of_held_out"])
    (others,) = graph.filter(node_namespaces=["evaluation_sets.others"]).nodes
    assert set(others.inputs) == {"params:evaluation_sets.others", "previous_evaluation_set_of_others"}


def test_files_that_did_not_change_are_not_read_again(
    parameters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = catalog_of(tmp_path)
    run(corpus.create_pipeline(), catalog, parameters)
    before = catalog.load("corpus_images")
    from stablerep.corpora.reading_in_place import FileReader

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was read again")

    for name in [each for each in vars(FileReader) if each.startswith("read")]:
        monkeypatch.setattr(FileReader, name, refuse)
    run(corpus.create_pipeline(), catalog, parameters)
    pd.testing.assert_frame_equal(catalog.load("corpus_images"), before)


def test_a_corpus_without_images_says_what_to_do() -> None:
    sentences = {"_target_": "stablerep.corpora.captions.Captions", "path": "captions.csv"}
    with pytest.raises(ConfigError, match=r"corpus: corpus '.*' has no images of its own\. Choose a corpus"):
        index_corpus(sentences, None)
