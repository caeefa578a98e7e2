"""Objects made of the sections: methods, corpora, plans of arms, generators of image sets, batches."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.config.arm_plan import plan_arm, training_of
from pipelines.config.batches import check_batches
from pipelines.config.corpus import build_corpus, build_evaluation_set, naming_evaluation_set
from pipelines.config.generator import generator_of, model_folder
from pipelines.config.loader import compose
from pipelines.config.nested import merged
from pipelines.evaluation_sets.nodes import index_evaluation_set
from stablerep.errors import ConfigError, DataError, StableRepError
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.methods.simclr import SimCLR
from tests.stablerep.corpora.images import write_class_folders
from tests.stablerep.image_sets.sets import Colours

PROJECT = Path(__file__).parents[3]
COLOURS = {"_target_": "tests.stablerep.image_sets.sets.Colours"}


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return compose(PROJECT / "conf/params", {})


def test_some_values_of_a_nested_mapping_are_replaced_and_the_base_stays() -> None:
    base = {"a": 1, "b": {"c": 2, "d": {"e": 3}}}
    assert merged("x", base, {"b": {"d": {"e": 4}}}) == {"a": 1, "b": {"c": 2, "d": {"e": 4}}}
    assert merged("x", base, {"a": None, "new": 5}) == {"a": None, "b": base["b"], "new": 5}
    assert base == {"a": 1, "b": {"c": 2, "d": {"e": 3}}}


def test_a_mapping_cannot_be_replaced_by_something_else() -> None:
    base = {"batch": {"captions": 2, "chunk": None}}
    told = (
        r"arms\.a\.training\.batch: got 3; must be set key by key: arms\.a\.training\.batch\.captions, arms"
    )
    with pytest.raises(ConfigError, match=told):
        merged("arms.a.training", base, {"batch": 3})


def test_an_arm_is_planned_with_its_own_training_and_tokenizer(plain: dict[str, Any], tmp_path: Path) -> None:
    arm = plain["arms"]["simclr_real"] | {"training": {"learning_rate": 0.01, "batch": {"captions": 8}}}
    training = training_of("mine", arm, plain["training"])
    assert (training.learning_rate, training.batch.captions) == (0.01, 8)
    assert training.batch.images_per_caption == plain["training"]["batch"]["images_per_caption"]
    plan = plan_arm("mine", arm, plain["method"]["simclr"], plain["encoder"], training, 7, tmp_path)
    assert (plan.name, plan.method_name, plan.images, plan.seed) == ("mine", "simclr", "real", 7)
    assert isinstance(plan.method, SimCLR)
    assert plan.encoder_config == plain["encoder"]["backbone"]
    assert plan.optimisation is training
    assert plan.tokenizer_folder == str(tmp_path / "data/06_models/generator/tokenizer")
    named = plain["encoder"] | {"text": plain["encoder"]["text"] | {"tokenizer_folder": None}}
    plan = plan_arm("mine", arm, plain["method"]["simclr"], named, training, 7, tmp_path)
    assert plan.tokenizer_folder is None, "one is learned from the captions"


def test_a_corpus_is_made_with_its_arguments() -> None:
    assert isinstance(build_corpus(COLOURS), Colours)
    assert isinstance(build_evaluation_set("mine", COLOURS), Colours)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (
            {"_target_": "pathlib.Path"},
            r"_target_: pathlib\.Path is a PosixPath; it must be a corpus, a class",
        ),
        (
            {"_target_": "stablerep.corpora.nothing.X"},
            r"_target_: got 'stablerep\.corpora\.nothing\.X'; must be .* class",
        ),
        ({**COLOURS, "colour": "red"}, r"colour: .*Colours takes no such argument; it takes none"),
    ],
)
def test_what_is_no_corpus_is_refused_with_its_key_and_file(entry: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=rf"^corpus\.?{told}.* Set it in conf/params/corpus/<name>\.yaml"):
        build_corpus(entry)
    where = r"conf/params/experiment/<name>\.yaml"
    with pytest.raises(ConfigError, match=rf"^evaluation_sets\.mine\.?{told}.* Set it in {where}"):
        build_evaluation_set("mine", entry)


def test_an_image_set_has_its_own_keys_of_the_generator(plain: dict[str, Any]) -> None:
    base = plain["generator"]
    assert generator_of("a", base, {"source": "generated"}) == GeneratorSettings.read(base)
    own = generator_of("a", base, {"source": "generated", "guidance_scale": 9, "images_per_caption": 3})
    assert (own.guidance_scale, own.images_per_caption) == (9.0, 3)
    # a number of images is the set's, not the generator's
    assert generator_of("a", base, {"source": "generated", "num_images": 3}) == GeneratorSettings.read(base)


def test_a_key_of_the_generator_that_is_out_of_range_is_named_below_its_set(plain: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^image_sets\.w8\.guidance_scale: got -8; must be >= 0"):
        generator_of("w8", plain["generator"], {"source": "generated", "guidance_scale": -8})


def test_the_model_is_the_catalogs_unless_another_is_named(plain: dict[str, Any], tmp_path: Path) -> None:
    embedded = PROJECT / "data/06_models/generator"
    base, absolute = plain["generator"], str(tmp_path / "sd")
    named = {
        None: embedded,
        "models/sd": PROJECT / "models/sd",
        absolute: tmp_path / "sd",
    }
    for name, expected in named.items():
        settings = generator_of("a", base, {"source": "generated", "model_folder": name})
        assert model_folder(settings, embedded) == expected


def refused(plain: dict[str, Any], number: int, **changed: Any) -> str | None:
    values = {**plain, **changed}
    try:
        keys = ("image_sets", "arms", "method", "training", "corpus")
        check_batches(number, *(values[key] for key in keys))
    except DataError as error:
        return str(error)
    return None


def test_captions_must_fill_the_widest_batch_of_the_arms_made_of_them(plain: dict[str, Any]) -> None:
    views = plain["training"]["batch"]["captions"] * plain["training"]["batch"]["images_per_caption"]
    assert refused(plain, views) is None, "CLIP takes one view of each caption"
    assert str(refused(plain, views - 1)).startswith(f"captions: got {views - 1}; must be at least {views}")
    own = {"a": {"method": "clip", "images": "own"}}
    assert refused(plain, 1, arms=own, image_sets={"own": {"source": "corpus"}}) is None


def test_the_limit_and_the_batch_of_an_arm_count(plain: dict[str, Any]) -> None:
    few = plain["image_sets"] | {"real": {"source": "rendered", "num_captions": 5}}
    assert "got 5; must be at least" in str(refused(plain, 1000, image_sets=few))
    small = {"clip": {"method": "clip", "images": "real", "training": {"batch": {"captions": 1}}}}
    assert refused(plain, 1000, image_sets=few, arms=small) is None


def image_folder(path: Path, **settings: Any) -> dict[str, Any]:
    return {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(path), **settings}


def fault_of_set(entry: dict[str, Any]) -> str:
    """Returns what a set's node says of it."""
    with pytest.raises(StableRepError) as raised:
        index_evaluation_set("mine", entry, None)
    assert isinstance(raised.value.__cause__, type(raised.value)), "the same class, and where it came from"
    return str(raised.value)


def test_a_fault_of_an_evaluation_set_names_its_key_and_file(tmp_path: Path) -> None:
    where = "conf/params/experiment/<name>.yaml"
    assert fault_of_set(image_folder(tmp_path / "none")) == (
        f"evaluation_sets.mine: {tmp_path / 'none'}: does not exist; must be a folder of images. Set "
        f"evaluation_sets.mine.path in {where}."
    )
    told = fault_of_set(image_folder(tmp_path, max_unreadable_share=2))
    assert told.startswith("evaluation_sets.mine.max_unreadable_share: got 2; must be")
    assert told.endswith(f"Set it in {where}.")
    write_class_folders(tmp_path / "photos")
    (tmp_path / "photos/cat/000.png").write_bytes(b"")
    told = fault_of_set(image_folder(tmp_path / "photos", max_unreadable_share=0))
    assert told.startswith("evaluation_sets.mine: 1 of 60 images cannot be read")
    assert told.endswith(f"or raise evaluation_sets.mine.max_unreadable_share in {where}.")


def test_a_file_of_an_evaluation_set_may_be_called_corpus(tmp_path: Path) -> None:
    told = pytest.raises(DataError, match=r"^evaluation_sets\.mine: corpus\.csv: bad$")
    with told, naming_evaluation_set("mine", image_folder(tmp_path)):
        raise DataError("corpus.csv: bad")
