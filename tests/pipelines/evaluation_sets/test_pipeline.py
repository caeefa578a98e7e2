"""Evaluation sets: one sub-pipeline each, and the corpus itself is not read twice."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.pipeline import Pipeline

from pipelines import corpus, evaluation_sets, image_sets, training
from pipelines.corpus.nodes import index_corpus
from pipelines.evaluation_sets.nodes import index_evaluation_set
from stablerep.corpora.table_faults import check_shared_with
from stablerep.errors import ConfigError, DataError
from tests.pipelines.small_projects import catalog_of, parameters_of, run, write_photos
from tests.stablerep.corpora.images import write_class_folders, write_split_folders


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
    previous = "previous_evaluation_set_of_others"
    assert set(others.inputs) == {"params:evaluation_sets.others", previous, "corpus_images"}


def test_a_set_needs_the_corpuss_images_only_where_an_arm_is_trained_on_them(photos: Path) -> None:
    def inputs_of_others(image_sets: dict[str, Any]) -> set[str]:
        folder = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": "others"}
        given = parameters_of(photos, image_sets, **{"evaluation_sets.others": folder})
        graph = evaluation_sets.create_pipeline(given)
        return set(graph.filter(node_namespaces=["evaluation_sets.others"]).nodes[0].inputs)

    own, drawn = {"source": "corpus"}, {"source": "rendered"}
    mixture = {"source": "mixture", "of": {"own": 0.5, "drawn": 0.5}}
    assert "corpus_images" in inputs_of_others({"mixed": mixture, "own": own, "drawn": drawn})
    # the first set is the one that the arm is trained on
    assert "corpus_images" not in inputs_of_others({"drawn": drawn, "own": own})


def test_all_sets_are_compared_with_the_corpus_before_an_arm_is_trained(parameters: dict[str, Any]) -> None:
    rooms = (corpus, image_sets, training, evaluation_sets)
    parts = [room.create_pipeline(*([parameters] if room is not corpus else [])) for room in rooms]
    names = [node.name for node in sum(parts, Pipeline([])).nodes]
    (first_arm, *_) = [place for place, name in enumerate(names) if name.endswith("train_arm")]
    assert names.index("evaluation_sets.others.index_evaluation_set") < first_arm


@pytest.fixture(scope="module")
def corpus_images(photos: Path) -> pd.DataFrame:
    return index_corpus({"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(photos)}, None)


def copy_image(photos: Path, corpus_images: pd.DataFrame, split: str, to: Path) -> None:
    """Copies a photo of a split of the corpus."""
    key = corpus_images.loc[corpus_images["split"] == split, "key"].iloc[0]
    to.write_bytes((photos / key).read_bytes())


@pytest.mark.parametrize(("folder", "split"), [("val", "validation"), ("test", "test")])
def test_copies_of_training_images_in_another_set_are_refused_above_the_bound(
    photos: Path,
    corpus_images: pd.DataFrame,
    folder: str,
    split: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    others = write_split_folders(tmp_path / "others", first_seed=5000)
    entry = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(others)}
    copy_image(photos, corpus_images, "train", others / folder / "cat/0.png")
    fault = (
        f"evaluation_sets.others: 1 of 4 {split} images are in the corpus's train split, too, byte for byte"
    )
    with pytest.raises(DataError) as caught:
        index_evaluation_set("others", entry, None, corpus_images)
    assert str(caught.value).startswith(f"{fault}: '{folder}/cat/0.png'; at most 1.0% may be. Remove them")
    assert "raise evaluation_sets.others.max_shared_share in conf/params/experiment" in str(caught.value)
    caplog.clear()
    with caplog.at_level(logging.WARNING):  # the bound itself is allowed
        index_evaluation_set("others", entry | {"max_shared_share": 0.25}, None, corpus_images)
    assert fault in caplog.text
    assert f"Accuracies on {split} are too high" in caplog.text
    caplog.clear()
    index_evaluation_set("others", entry, None)
    assert not caplog.records


def test_copies_that_no_arm_is_trained_on_or_no_score_is_stated_of_are_allowed(
    photos: Path, corpus_images: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = write_split_folders(tmp_path / "others", first_seed=5000)
    entry = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(others)}
    copy_image(photos, corpus_images, "test", others / "test/cat/0.png")
    copy_image(photos, corpus_images, "train", others / "train/cat/0.png")
    with caplog.at_level(logging.WARNING):
        index_evaluation_set("others", entry, None, corpus_images)
    assert not caplog.records


@pytest.mark.parametrize("missing", ["", None])
def test_images_without_a_digest_are_not_compared(
    missing: str | None, corpus_images: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    without = corpus_images.assign(digest=pd.Series([missing] * len(corpus_images), dtype=object))
    with caplog.at_level(logging.WARNING):
        check_shared_with(without, without, 0.0, "evaluation_sets.others")
    assert not caplog.records


def test_scenes_that_are_drawn_have_no_bound_and_are_not_compared() -> None:
    scenes = {
        "_target_": "stablerep.digit_scenes.corpus.EvaluationScenes",
        **{"num_train": 4, "num_validation_per_hand": 1, "num_test_per_hand": 1},
    }
    table = index_evaluation_set("scenes", scenes, None)
    trained_on = table.assign(split="train")
    pd.testing.assert_frame_equal(index_evaluation_set("scenes", scenes, None, trained_on), table)


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
