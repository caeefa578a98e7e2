"""Which captions stand behind which encoder, written and found again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset

from pipelines.datasets import FolderDataset
from pipelines.tracking.captions import captions_of_arms, captions_tags, find_encoders, log_captions

NINE, TWO, THREE = (f"c-{number:016x}" for number in (9, 2, 3))
GENERATOR, MODEL = "g-0000000000000001", "m-0000000000000002"


def table() -> pd.DataFrame:
    """Three captions; the third has no image."""
    return pd.DataFrame(
        {
            "caption_id": [TWO, THREE, NINE],
            "source": ["two", "one", "one"],
            "licence": "CC0-1.0",
            "num_images": [2, 0, 2],
            "generator_id": [GENERATOR, "", GENERATOR],
            "model_id": [MODEL, "", MODEL],
        }
    )


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with one training that tells its captions and one of earlier times."""
    import mlflow

    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("test", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("test")
    with mlflow.start_run(run_name="new training") as run:
        log_captions(table(), run.info.run_id)
        for arm, images in (("ours", "synthetic"), ("theirs", "real")):
            with mlflow.start_run(run_name=arm, nested=True):
                mlflow.log_params({"arm": arm, "images": images})
                mlflow.set_tags(captions_tags(table()))
    with mlflow.start_run(run_name="old training"):
        for arm, images in (("old ours", "synthetic"), ("old theirs", "real")):
            with mlflow.start_run(run_name=arm, nested=True):
                mlflow.log_params({"arm": arm, "images": images})
    return uri


def found(uri: str, kind: str, what: str) -> dict[str, int | None]:
    return {each.arm: each.num_captions for each in find_encoders(uri, kind, what)}


@pytest.mark.parametrize(
    ("kind", "what", "expected"),
    [
        ("caption", NINE, {"ours": 1, "theirs": 1, "old ours": None, "old theirs": None}),
        ("caption", THREE, {"theirs": 1, "old ours": None, "old theirs": None}),
        ("source", "one", {"ours": 1, "theirs": 2, "old ours": None, "old theirs": None}),
        ("source", "nobody", {"old ours": None, "old theirs": None}),
        ("generator", GENERATOR, {"ours": 2, "old ours": None}),
        ("generator", MODEL, {"ours": 2, "old ours": None}),
        ("generator", "g-ffffffffffffffff", {"old ours": None}),
    ],
)
def test_encoders_are_found_by_what_they_came_from(
    uri: str, kind: str, what: str, expected: dict[str, int | None]
) -> None:
    assert found(uri, kind, what) == expected


def test_an_encoder_says_which_run_it_is(uri: str) -> None:
    encoder = next(each for each in find_encoders(uri, "source", "two") if each.arm == "ours")
    assert encoder.parent == "new training"
    assert f"ours (synthetic images), run {encoder.run_id} of 'new training', 20" in str(encoder)
    assert str(encoder).endswith(" UTC")
    assert str(replace(encoder, status="KILLED")).endswith(" UTC, killed")


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert find_encoders(f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}", "source", "one") == []
    assert list(tmp_path.iterdir()) == []


def make_catalog(folder: Path, **without: Any) -> DataCatalog:
    captions = table()[["caption_id", "source", "licence"]].assign(text="x", line=2)
    images = pd.DataFrame({"caption_id": [NINE, TWO, NINE, TWO], "generator_id": GENERATOR})
    catalog: dict[str, Any] = {
        "caption_set": MemoryDataset(captions),
        "accepted_images": MemoryDataset(images),
        "image_store": FolderDataset(str(folder)),
    }
    return DataCatalog({name: each for name, each in catalog.items() if name not in without})


def test_the_table_counts_accepted_images_and_names_the_model(tmp_path: Path) -> None:
    from stablerep.generation.diffusion.identity import model_id_of

    files = {"unet/x.safetensors": "0"}
    generator = f'{{"generator_id": "{GENERATOR}", "files": {{"unet/x.safetensors": "0"}}}}'
    (tmp_path / "generator.json").write_text(generator)
    made = captions_of_arms(make_catalog(tmp_path))
    assert made is not None
    model_id = model_id_of({"files": files})
    expected = table().assign(model_id=[model_id, "", model_id])
    pd.testing.assert_frame_equal(made, expected, check_dtype=False)
    assert made["num_images"].dtype == "int64"
    assert captions_tags(made)["captions.generator_id"] == GENERATOR


def test_without_an_image_set_there_is_no_table(tmp_path: Path) -> None:
    assert captions_of_arms(make_catalog(tmp_path, accepted_images=None)) is None


def test_another_table_has_another_digest() -> None:
    tags = captions_tags(table())
    assert tags == captions_tags(table())
    assert tags["captions.digest"] != captions_tags(table().assign(source="x"))["captions.digest"]
