"""The room of image-set metrics: from image sets and evaluation sets to the tables, and its configuration."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from pipelines.config.corpus import build_evaluation_set, index_of
from pipelines.config.loader import compose
from pipelines.config.set_metrics import build_extractor, build_set_metrics
from pipelines.image_set_metrics.nodes import measure_image_sets
from pipelines.image_set_metrics.pipeline import create_pipeline
from pipelines.tracking.image_sets import log_set_metrics
from stablerep.caption_ids import caption_id_of
from stablerep.digit_scenes.corpus import DigitScenes
from stablerep.errors import ConfigError
from stablerep.image_sets.corpus_set import from_corpus
from stablerep.image_sets.image_set import ImageSet
from stablerep.image_sets.rendered_set import from_renderer
from stablerep.validation.schemas import ImageSetMetrics, NearImages

PROJECT = Path(__file__).parents[3]
SCORER = PROJECT / "data/06_models/scorer"
TEXTS = [
    "a seven in navy ink",
    "a two",
    "a nine in green ink on a white background",
    "a zero",
    "a four in brown ink",
]
SET = {
    "_target_": "stablerep.digit_scenes.corpus.EvaluationScenes",
    "num_train": 100,
    "num_validation_per_hand": 1,
    "num_test_per_hand": 1,
}


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    found = compose(PROJECT / "conf/params", {"set_metrics.replication.num_training_images": 64})
    sets = {"drawn": {"source": "generated"}, "real": {"source": "rendered"}}
    return found | {"evaluation_sets": {"scenes": SET}, "image_sets": sets}


def an_image_set(name: str, folder: Path) -> ImageSet:
    ids = [caption_id_of(text) for text in TEXTS]
    captions = pd.DataFrame({"caption_id": ids, "text": TEXTS, "source": "test", "licence": "CC0-1.0"})
    amounts = {"num_captions": None, "images_per_caption": 4, "num_images": None}
    corpus = DigitScenes(str(PROJECT / "data/01_raw/captions.csv"))
    return from_renderer(name, captions, corpus, folder / name, amounts, 0)


def measured(folder: Path, parameters: dict[str, Any], **changed: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    (node,) = create_pipeline(parameters).nodes
    inputs: dict[str, Any] = {}
    for name, dataset in node._inputs.items():
        if dataset.startswith("params:"):
            value: Any = parameters
            for key in dataset.removeprefix("params:").split("."):
                value = value[key]
            inputs[name] = value
    scenes = build_evaluation_set("scenes", SET)
    inputs |= {
        "set_features_work": folder / "features",
        "scorer_folder": SCORER,
        "takedowns": pd.DataFrame(
            {name: pd.Series(dtype="str") for name in ("what", "kind", "reason", "date", "who")}
        ),
        "image_set_of_real": an_image_set("real", folder),
        "image_set_of_drawn": an_image_set("drawn", folder),
        "evaluation_set_of_scenes": index_of(scenes, "evaluation_sets.scenes", None),
    }
    return measure_image_sets(**inputs | changed)


def test_every_metric_is_measured_on_the_embedded_corpus(tmp_path: Path, parameters: dict[str, Any]) -> None:
    values, near = measured(tmp_path, parameters)
    ImageSetMetrics.validate(values)
    NearImages.validate(near)
    assert values["image_set"].unique().tolist() == ["drawn", "real", "scenes.validation"]
    found = values[(values["image_set"] == "drawn") & (values["group"] == "all")].set_index("metric")["value"]
    assert {
        *("alignment", "label_accuracy.digit", "label_accuracy.ink", "vendi", "vendi_in_caption"),
        *("precision", "recall", "density", "coverage", "kernel_distance", "cmmd", "near_duplicates"),
        *("identical.scenes.test", "overlap.scenes.train", "overlap.scenes.validation"),
    } <= set(found.index)
    assert "frechet_distance" not in found, "20 images have no covariance of 64 features"
    assert found["identical.scenes.test"] == 0
    assert set(values["reference"]) == {"scenes.validation"}
    numbers = values[values["metric"] == "precision"].set_index("image_set")
    assert numbers["num_images"].to_dict() == {"drawn": 20, "real": 20}
    assert set(numbers["num_reference"]) == {200}
    assert len(list((tmp_path / "features").glob("*.npy"))) > 0


def test_the_train_images_of_an_evaluation_set_are_measured_where_they_lie(
    tmp_path: Path, parameters: dict[str, Any]
) -> None:
    table = index_of(build_evaluation_set("scenes", SET), "evaluation_sets.scenes", None)
    none = pd.DataFrame({name: pd.Series(dtype="str") for name in ("what", "kind")})
    amounts = {"num_captions": None, "images_per_caption": None, "num_images": None}
    labelled = from_corpus("labelled", table, tmp_path / "labelled", none, amounts, 0, "scenes")
    sets = {"labelled": {"source": "corpus", "evaluation_set": "scenes"}}
    only = {"overlap": parameters["set_metrics"]["overlap"]}
    changed = parameters | {"image_sets": sets, "set_metrics": only}
    values, _ = measured(tmp_path, changed, image_set_of_labelled=labelled)
    found = values[values["image_set"] == "labelled"].set_index("metric")["value"]
    assert found["identical.scenes.train"] == 1 and found["identical.scenes.test"] == 0


def test_training_images_are_those_of_the_recipe_that_made_the_generator(
    tmp_path: Path, parameters: dict[str, Any]
) -> None:
    generated = an_image_set("drawn", tmp_path)
    pixels = replace(generated, parts={"drawn": "generated"})
    only = parameters | {"set_metrics": {"replication": parameters["set_metrics"]["replication"]}}
    opened = {"image_set_of_drawn": pixels}
    foreign = measured_with_pixels(tmp_path, only, opened, model_folder="data/06_models/another")
    assert foreign.empty
    own = measured_with_pixels(tmp_path, only, opened)
    assert set(own["metric"]) == {"training_similarity", "training_copies", "nearer_than_real"}
    assert set(own["image_set"]) == {"drawn"}


def measured_with_pixels(folder: Path, parameters: dict[str, Any], sets: dict[str, ImageSet], **changed: Any):
    """Measures sets that are said to be generated, and whose pixels are rendered."""
    from stablerep.image_sets import opening
    from stablerep.image_sets.image_set import RENDERED

    whole = opening.open_image_set

    def rendered(image_set: ImageSet, *given: Any) -> Any:
        return whole(replace(image_set, parts=dict.fromkeys(image_set.parts, RENDERED)), *given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(opening, "open_image_set", rendered)
        return measured(folder, parameters, **sets, **changed)[0]


def test_every_shipped_metric_and_extractor_is_one_that_can_be_built(parameters: dict[str, Any]) -> None:
    shipped = {path.stem for path in (PROJECT / "conf/params/set_metrics").glob("*.yaml")}
    assert set(parameters["set_metrics"]) == shipped, "the default has all"
    built = build_set_metrics(parameters["set_metrics"])
    assert {each.name for each in built} == shipped
    assert build_extractor(parameters["extractor"], SCORER).name.startswith("scorer a-")
    untrained = compose(PROJECT / "conf/params", {"extractor": "untrained"})["extractor"]
    assert build_extractor(untrained, SCORER).name.startswith("untrained ")


@pytest.mark.parametrize(
    "experiment",
    [{"experiment": "photographs"}, {"experiment": "own_captions", "corpus.path": "captions.csv"}],
    ids=lambda given: given["experiment"],
)
def test_experiments_on_other_images_do_not_take_the_embedded_scorer(
    experiment: dict[str, Any],
) -> None:
    extractor = compose(PROJECT / "conf/params", experiment)["extractor"]
    assert extractor["_target_"].endswith("EncoderExtractor")
    assert extractor["weights"] is None


def test_an_entry_that_is_no_metric_is_refused() -> None:
    entry = {"mine": {"_target_": "stablerep.evaluation.knn.NearestNeighbours"}}
    with pytest.raises(ConfigError, match=r"set_metrics\.mine\._target_: .* it must be a metric, a class"):
        build_set_metrics(entry)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"set_comparison.reference.evaluation_set": "scene"}, "did you mean 'scenes'"),
        ({"set_comparison.reference.split": "test"}, "must be one of train, validation"),
        ({"set_comparison.max_images": 1}, "must be >= 10"),
    ],
)
def test_a_reference_that_is_not_there_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(PROJECT / "conf/params", given)
    assert str(caught.value).startswith(next(iter(given)))
    assert told.casefold() in str(caught.value).casefold()


def test_mlflow_gets_the_values_of_whole_sets_and_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: dict[str, Any] = {}
    monkeypatch.setattr(mlflow, "log_metrics", logged.update)
    monkeypatch.setattr(mlflow, "log_text", lambda text, file: logged.update({file: text}))
    table = pd.DataFrame(
        {
            "image_set": ["a", "a", "b"],
            "metric": ["vendi", "vendi", "recall"],
            "group": ["all", "x=y", "all"],
            "value": [3.0, 2.0, float("nan")],
        }
    )
    log_set_metrics(table)
    assert {key: value for key, value in logged.items() if not key.endswith(".csv")} == {"a.vendi": 3.0}
    assert "x=y" in logged["image_set_metrics.csv"]
