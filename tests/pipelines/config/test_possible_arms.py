"""Arms that need captions are left out where the corpus has none, if they say so."""

import logging
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import configure_project

from pipelines.config.loader import HydraConfigLoader, compose
from pipelines.config.possible_arms import without_impossible_arms
from stablerep.errors import ConfigError, DataError
from tests.stablerep.corpora.images import write_class_folders

PROJECT = Path(__file__).parents[3]
FOLDER = PROJECT / "conf/params"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders without captions."""
    return write_class_folders(tmp_path_factory.mktemp("data") / "images", 20)


@pytest.fixture(scope="module")
def images_with_captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a caption of each."""
    root = write_class_folders(tmp_path_factory.mktemp("captioned"), 20)
    files = sorted(path.relative_to(root) for path in root.rglob("*.png"))
    lines = [f"{file},a photo of a {file.parent},{file.parent}" for file in files]
    (root / "metadata.csv").write_text("\n".join(["file_name,text,label", *lines]) + "\n")
    return root


def own_images(path: Path, **further: Any) -> dict[str, Any]:
    return {"experiment": "own_images", "corpus.path": str(path), **further}


def test_an_arm_without_captions_is_left_out_with_a_warning(
    images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        parameters = compose(FOLDER, own_images(images))
    assert list(parameters["arms"]) == ["simclr_real"]
    (told,) = [each for each in caplog.messages if "left out" in each]
    assert told == "arms.clip_real is left out: method clip needs captions, and corpus 'images' has none."


def test_an_arm_whose_images_have_captions_stays(
    images_with_captions: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parameters = compose(FOLDER, own_images(images_with_captions))
    assert list(parameters["arms"]) == ["simclr_real", "clip_real"]
    assert not caplog.messages


def test_an_arm_that_must_be_trained_stays_for_the_check_before_the_run(images: Path) -> None:
    parameters = compose(FOLDER, own_images(images, **{"arms.clip_real.if_possible": False}))
    assert list(parameters["arms"]) == ["simclr_real", "clip_real"]


def test_an_arm_on_a_mixture_with_real_images_is_left_out_too(images: Path) -> None:
    mixed = {"source": "mixture", "of": {"real": 1.0}}
    arm = {"method": "stablerep_plus", "images": "mixed", "if_possible": True}
    given = own_images(images, **{"image_sets.mixed": mixed, "arms.mine": arm})
    # one image per caption is all that real images have
    given["method.stablerep_plus.images_per_caption"] = 2
    assert "mine" not in compose(FOLDER, given)["arms"]


def test_the_loader_gives_kedro_the_arms_that_are_left(images: Path) -> None:
    configure_project("pipelines")
    loader = HydraConfigLoader(
        str(PROJECT / "conf"), runtime_params=own_images(images), base_env="base", default_run_env="local"
    )
    assert list(loader["parameters"]["arms"]) == ["simclr_real"]


def test_where_no_arm_is_left_the_reason_is_told(images: Path) -> None:
    with pytest.raises(ConfigError, match="arms: none is left, because corpus .* has no captions"):
        compose(FOLDER, own_images(images, **{"arms.simclr_real": None}))


def test_images_that_are_not_there_are_told_while_composing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path}/none: does not exist"):
        compose(FOLDER, own_images(tmp_path / "none"))


def test_a_corpus_is_read_only_for_arms_that_ask() -> None:
    # it would be refused: there is no such class
    parameters = {"corpus": {"_target_": "stablerep.Nothing"}, "arms": {"a": {"if_possible": False}}}
    assert without_impossible_arms(parameters) is parameters
