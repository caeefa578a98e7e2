"""Which captions stand behind which encoder, written and found again."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipelines.tracking.captions import captions_of, captions_tags, find_encoders, log_captions
from stablerep.image_sets.image_set import ImageSet
from tests.stablerep.image_sets.sets import rendered

NINE, TWO, THREE = (f"c-{number:016x}" for number in (9, 2, 3))
GENERATOR, MODEL = "g-0000000000000001", "m-0000000000000002"


def table() -> pd.DataFrame:
    """Three captions of a generated set; one has no image."""
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


def table_of_real() -> pd.DataFrame:
    """Its captions are those of a set that nothing was generated for."""
    return table().assign(num_images=1, generator_id="", model_id="")


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
        for arm, images, captions in (("ours", "synthetic", table()), ("theirs", "real", table_of_real())):
            log_captions(captions, images, run.info.run_id)
            with mlflow.start_run(run_name=arm, nested=True):
                mlflow.log_params({"arm": arm, "images": images})
                mlflow.set_tags(captions_tags(captions))
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
        ("generator", GENERATOR, {"ours": 2, "old ours": None, "old theirs": None}),
        ("generator", MODEL, {"ours": 2, "old ours": None, "old theirs": None}),
        ("generator", "g-ffffffffffffffff", {"old ours": None, "old theirs": None}),
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


def generated(folder: Path) -> ImageSet:
    """Four images of two of the captions, beside the description of their generator."""
    (folder / "synthetic").mkdir(parents=True)
    described = f'{{"generator_id": "{GENERATOR}", "files": {{"unet/x.safetensors": "0"}}}}'
    (folder / "synthetic" / "generator.json").write_text(described)
    images = pd.DataFrame({"caption_id": [NINE, TWO, NINE, TWO], "generator_id": GENERATOR})
    captions = table()[["caption_id", "source", "licence"]].assign(text="x")
    parts = {"synthetic": "generated"}
    return ImageSet("synthetic", "generated", images, captions, parts, folder / "synthetic", images)


def test_the_table_counts_the_images_of_a_set_and_names_the_model(tmp_path: Path) -> None:
    from stablerep.generation.diffusion.identity import model_id_of

    made = captions_of(generated(tmp_path))
    model_id = model_id_of({"files": {"unet/x.safetensors": "0"}})
    expected = table().assign(model_id=[model_id, "", model_id])
    pd.testing.assert_frame_equal(made, expected, check_dtype=False)
    assert made["num_images"].dtype == "int64"
    assert captions_tags(made)["captions.generator_id"] == GENERATOR


def test_the_captions_of_rendered_images_came_from_no_generator(tmp_path: Path) -> None:
    made = captions_of(rendered(tmp_path))
    assert made["num_images"].tolist() == [2, 2, 2]
    assert set(made["generator_id"]) == set(made["model_id"]) == {""}
    assert captions_tags(made)["captions.generator_id"] == ""


def test_a_mixture_is_found_by_the_generator_of_its_part(tmp_path: Path) -> None:
    from stablerep.image_sets.mixture import mix

    parts = {"synthetic": generated(tmp_path), "rendered": rendered(tmp_path)}
    images = parts["synthetic"].images
    images = images.assign(image_id=["a", "b", "c", "d"], part="synthetic", digest=list("abcd"))
    parts["synthetic"] = replace(parts["synthetic"], images=images)
    shares = dict.fromkeys(parts, 0.5)
    made = captions_of(mix("half", parts, shares, tmp_path / "half", {"num_images": 8}, 0))
    by_caption = made.set_index("caption_id")
    assert by_caption.loc[NINE, "generator_id"] == GENERATOR
    assert by_caption.loc[NINE, "model_id"].startswith("m-")
    assert (by_caption.drop([NINE, TWO])["generator_id"] == "").all()
    assert by_caption["num_images"].sum() == 8


def test_another_table_has_another_digest() -> None:
    tags = captions_tags(table())
    assert tags == captions_tags(table())
    assert tags["captions.digest"] != captions_tags(table().assign(source="x"))["captions.digest"]
