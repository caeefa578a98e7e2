"""`worth_it` takes corpus, generator and evaluation sets of another experiment, and compares their images."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.config.loader import compose
from stablerep.errors import ConfigError
from tests.stablerep.corpora.images import write_class_folders

FOLDER = Path(__file__).parents[3] / "conf/params"
METHODS = ("simclr", "clip", "stablerep", "stablerep_plus")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_class_folders(tmp_path_factory.mktemp("data") / "images", 200)


@pytest.fixture(scope="module")
def captioned(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each image has a caption of its own."""
    root = write_class_folders(tmp_path_factory.mktemp("captioned"), 20)
    files = sorted(path.relative_to(root) for path in root.rglob("*.png"))
    lines = [f"{file},photo {number},{file.parent}" for number, file in enumerate(files)]
    (root / "metadata.csv").write_text("\n".join(["file_name,text,label", *lines]) + "\n")
    return root


def names(methods: tuple[str, ...], kinds: tuple[str, ...]) -> set[str]:
    """Returns the arms of methods on kinds of images, at each equality."""
    found = {f"{m}_{k}_{e}" for m in methods for k in kinds for e in ("images", "captions", "compute")}
    return {name for name in found if not name.endswith("synthetic_compute")}


def test_alone_it_compares_the_embedded_corpus_and_leaves_out_what_real_captions_do_not_allow() -> None:
    alone = compose(FOLDER, {"experiment": "worth_it"})
    assert alone == compose(FOLDER, {"experiment": ["digit_scenes", "worth_it"]})
    assert alone["experiment_name"] == "worth_it" and alone["seeds"] == [0, 1, 2]
    # its real images are one of each caption
    real = names(("simclr", "clip"), ("real",))
    assert set(alone["arms"]) == real | names(METHODS, ("synthetic", "half"))
    assert {"scenes", "hard_scenes"} <= set(alone["evaluation_sets"])


def test_on_photographs_every_method_has_real_images_of_their_corpus(folders: Path) -> None:
    own = {"corpus": "image_folder", "corpus.path": str(folders)}
    own["corpus.caption_templates"] = ["a photo of a {class}", "a picture of a {class}"]
    found = compose(FOLDER, {"experiment": ["photographs", "worth_it"], **own})
    assert set(found["arms"]) == names(METHODS, ("real", "synthetic", "half"))
    below = compose(FOLDER, {"experiment": "photographs", **own})
    for section in ("corpus", "generator", "evaluation_sets", "encoder", "training"):
        assert found[section] == below[section]
    for name in ("real", "synthetic"):
        assert found["image_sets"][name] == below["image_sets"][name]


@pytest.mark.parametrize("generator", ["stable_diffusion_1_5", "sdxl_turbo"])
def test_on_own_images_with_a_generator_it_compares_those(captioned: Path, generator: str) -> None:
    own = {"corpus.path": str(captioned), "generator": generator}
    found = compose(FOLDER, {"experiment": ["own_images_generated", "worth_it"], **own})
    assert found["corpus"]["path"] == str(captioned)
    assert found["image_sets"]["real"]["source"] == "corpus"
    # each of these images has a caption of its own
    assert names(("stablerep",), ("real",)).isdisjoint(found["arms"])
    assert names(("simclr", "clip"), ("real",)) <= set(found["arms"])
    # a generator beside own_images makes it own_images_generated, here too
    assert found == compose(FOLDER, {"experiment": ["own_images", "worth_it"], **own})


def test_equal_sets_are_as_large_as_the_smaller_of_real_and_synthetic() -> None:
    sets = compose(FOLDER, {"experiment": "worth_it"})["image_sets"]
    for unit, shares_of in (("images", "images"), ("captions", "captions")):
        real, synthetic, half = (sets[f"{kind}_{unit}"] for kind in ("real", "synthetic", "half"))
        assert real["as_many_as"] == "synthetic" and real["of"] == {"real": 1.0}
        assert synthetic["as_many_as"] == half["as_many_as"] == f"real_{unit}"
        assert {each["shares_of"] for each in (real, synthetic, half)} == {shares_of}


def test_arms_of_equal_compute_follow_the_synthetic_arm_of_their_method() -> None:
    arms = compose(FOLDER, {"experiment": "worth_it"})["arms"]
    for name, arm in arms.items():
        if name.endswith("compute"):
            other = arms[arm["as_much_compute_as"]]
            assert (other["method"], other["images"]) == (arm["method"], "synthetic_captions")


@pytest.mark.parametrize("other", ["simclr_real_compute", "no_such_arm"])
def test_an_arm_that_follows_no_arm_of_its_own_views_is_refused(other: str) -> None:
    given: dict[str, Any] = {"arms.simclr_half_compute.as_much_compute_as": other}
    with pytest.raises(ConfigError, match=r"arms.simclr_half_compute.as_much_compute_as: got '.*must be one"):
        compose(FOLDER, {"experiment": "worth_it", **given})


def test_shares_that_count_captions_are_of_mixtures_alone() -> None:
    with pytest.raises(ConfigError, match=r"image_sets.synthetic.shares_of: got 'captions'; must be images"):
        compose(FOLDER, {"image_sets.synthetic.shares_of": "captions"})


def test_without_a_generated_set_the_message_names_what_is_missing(captioned: Path) -> None:
    given = {"experiment": ["own_images", "worth_it"], "corpus.path": str(captioned)}
    with pytest.raises(ConfigError, match=r"image_sets.real_images.as_many_as: got 'synthetic'"):
        compose(FOLDER, given)
