"""Image sets that nothing is generated for, from the corpus to the finished set, through the nodes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from pipelines import corpus, evaluation_sets, image_sets, training
from pipelines.config.corpus import build_corpus
from pipelines.run.causes import first_cause
from pipelines.run.items import image_set_of, needs_corpus_images
from stablerep.caption_ids import caption_id_of
from stablerep.errors import DataError, GateError
from stablerep.image_sets.image_set import ImageSet
from stablerep.image_sets.opening import open_image_set
from tests.pipelines.small_projects import (
    CAPTIONS,
    catalog_of,
    parameters_of,
    run,
    take_down,
    write_photos,
)

SETS: dict[str, Any] = {
    "real": {"source": "corpus"},
    "few": {"source": "corpus", "num_images": 5},
    "rendered": {"source": "rendered", "images_per_caption": 3},
    "equal": {"source": "rendered", "as_many_as": "few"},
    "half": {"source": "mixture", "of": {"real": 0.5, "rendered": 0.5}, "num_images": 8},
    "half_of_few": {"source": "mixture", "of": {"real": 0.5, "rendered": 0.5}, "as_many_as": "few"},
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="module")
def parameters(photos: Path) -> dict[str, Any]:
    return parameters_of(photos, SETS)


def pipeline_of(parameters: dict[str, Any]) -> Pipeline:
    return corpus.create_pipeline() + image_sets.create_pipeline(parameters)


@pytest.fixture(scope="module")
def made(parameters: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> DataCatalog:
    """The catalog after a run that made every set."""
    catalog = catalog_of(tmp_path_factory.mktemp("project"))
    run(pipeline_of(parameters), catalog, parameters)
    return catalog


def found(catalog: DataCatalog, name: str) -> ImageSet:
    loaded: ImageSet = catalog.load(image_set_of(name))
    assert loaded.name == name
    return loaded


def test_real_images_are_those_of_the_training_split(made: DataCatalog) -> None:
    table = made.load("corpus_images")
    real = found(made, "real")
    assert real.source == "corpus"
    train = set(table.loc[table["split"] == "train", "key"])
    assert set(real.images["image_id"]) == train
    assert len(train) < len(table)
    assert real.has_captions
    assert real.facts["gate"]["success"]
    assert len(found(made, "few").images) == 5


def test_a_set_may_have_the_train_images_of_an_evaluation_set(photos: Path, tmp_path: Path) -> None:
    other = write_photos(tmp_path / "other", 30)
    entry = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(other)}
    sets = {"labelled": {"source": "corpus", "evaluation_set": "mine", "num_images": 7}}
    parameters = parameters_of(
        photos, sets, **{"evaluation_sets.mine": entry, "evaluation_sets.held_out": None}
    )
    assert not needs_corpus_images(parameters)
    made = catalog_of(tmp_path / "project")
    graph = evaluation_sets.create_pipeline(parameters) + image_sets.create_pipeline(parameters)
    run(graph, made, parameters)
    table, labelled = made.load("evaluation_set_of_mine"), found(made, "labelled")
    assert set(labelled.images["image_id"]) < set(table.loc[table["split"] == "train", "key"])
    assert len(labelled.images) == 7 and labelled.source == "corpus"
    arm = training.create_pipeline(parameters).filter(node_namespaces=["training.mine.seed_0"])
    assert "params:evaluation_sets.mine" in arm.inputs() and "params:corpus" not in arm.inputs()
    run(arm.filter(node_names=["training.mine.seed_0.open_images"]), made, parameters)
    source = open_image_set(labelled, build_corpus(entry), 4, 1.0)
    names = [source.images.name_of(row) for row in range(7)]
    assert all(name.endswith(key) for name, key in zip(names, labelled.images["image_id"], strict=True))
    assert source.images.read(6).shape == (3, 4, 4)


def test_every_caption_is_rendered_as_often_as_is_asked_for(made: DataCatalog) -> None:
    rendered = found(made, "rendered")
    assert rendered.source == "rendered"
    assert set(rendered.captions["text"]) == set(CAPTIONS)
    assert rendered.images["caption_id"].value_counts().unique().tolist() == [3]
    assert rendered.facts["gate"]["success"]


def test_a_set_has_as_many_images_as_the_one_that_it_names(made: DataCatalog) -> None:
    assert len(found(made, "equal").images) == len(found(made, "few").images) == 5
    assert len(found(made, "half_of_few").images) == 5


def test_a_mixture_has_its_shares_and_is_opened_from_where_its_parts_lie(
    made: DataCatalog, parameters: dict[str, Any]
) -> None:
    half = found(made, "half")
    assert half.images["part"].value_counts().to_dict() == {"real": 4, "rendered": 4}
    source = open_image_set(half, build_corpus(parameters["corpus"]), 4, 1.0)
    assert len(source.images) == 8
    assert all(source.images.read(row).shape == (3, 4, 4) for row in range(8))
    assert source.labels is not None
    for row, label in enumerate(source.labels.tolist()):
        text = source.texts[source.caption_rows[row]]
        assert text.endswith(("cat", "dog")[label])


def test_a_set_is_made_alone_by_its_namespace_once_its_parts_are_there(
    made: DataCatalog, parameters: dict[str, Any]
) -> None:
    before = found(made, "half").images
    alone = image_sets.create_pipeline(parameters).filter(node_namespaces=["image_sets.half"])
    assert [node.name for node in alone.nodes] == ["image_sets.half.mix_image_sets"]
    run(alone, made, parameters)
    assert found(made, "half").images.equals(before)


def test_rendered_images_are_the_same_when_they_are_opened(
    made: DataCatalog, parameters: dict[str, Any]
) -> None:
    rendered = found(made, "rendered")
    animals = build_corpus(parameters["corpus"])
    source = open_image_set(rendered, animals, 4, 1.0)
    wanted = animals.render(list(rendered.captions["text"]), 3, "rendered", parameters["seeds"][0])
    for row in range(len(rendered.images)):
        assert torch.equal(source.images.read(row), wanted.pixels[row])


def test_the_page_of_each_gate_stands_below_its_sets_name(made: DataCatalog) -> None:
    pages = {path.parent.parent.name for path in made.load("data_docs").glob("*/images/index.html")}
    assert pages == {"real", "few", "rendered", "equal"}


def test_what_was_taken_down_is_in_no_set(photos: Path, tmp_path: Path) -> None:
    parameters = parameters_of(photos, {"real": SETS["real"], "rendered": SETS["rendered"]})
    catalog = catalog_of(tmp_path)
    gone = caption_id_of("a red cat")
    take_down(tmp_path, gone)
    run(pipeline_of(parameters), catalog, parameters)
    for name in ("real", "rendered"):
        captions = found(catalog, name).captions
        assert len(captions) > 0
        assert gone not in set(captions["caption_id"])
    assert found(catalog, "real").facts["num_taken_down"] > 0


def test_a_set_that_cannot_have_as_many_images_says_so(photos: Path, tmp_path: Path) -> None:
    sets = {"real": SETS["real"], "equal": {"source": "rendered", "as_many_as": "real"}}
    parameters = parameters_of(photos, sets)
    with pytest.raises(DataError) as caught:
        run(pipeline_of(parameters), catalog_of(tmp_path), parameters)
    told = str(first_cause(caught.value, DataError))
    assert told.startswith(f"image set 'equal': has {len(CAPTIONS)} images; ")


def test_a_gate_that_refuses_leaves_no_set(photos: Path, tmp_path: Path) -> None:
    rule = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1000}}
    validation = {"validation.real_images.enough": rule}
    parameters = parameters_of(photos, {"rendered": SETS["rendered"]}, **validation)
    catalog = catalog_of(tmp_path)
    with pytest.raises(GateError, match="enough"):
        run(pipeline_of(parameters).filter(to_outputs=["image_set_of_rendered"]), catalog, parameters)
    assert not catalog.exists("image_set_of_rendered")
    assert (tmp_path / "data/08_reporting/data_docs/rendered/images/index.html").is_file()
