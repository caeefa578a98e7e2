"""What must fit together in the parameters."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.config.loader import compose
from pipelines.config.schema import Parameters
from stablerep.errors import ConfigError

FOLDER = Path(__file__).parents[3] / "conf" / "params"


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return compose(FOLDER, {})


def refused(plain: dict[str, Any], **changed: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        Parameters.read(plain | changed, "")
    return str(caught.value)


def test_an_image_set_has_the_generators_settings_but_for_its_own_keys(plain: dict[str, Any]) -> None:
    sets = plain["image_sets"] | {
        "w8": {"source": "generated", "guidance_scale": 8, "images_per_caption": 2, "num_captions": 9}
    }
    parameters = Parameters.read(plain | {"image_sets": sets}, "")
    assert parameters.generator_of("synthetic") == parameters.generator
    assert parameters.generator_of("w8") == parameters.generator.changed(
        guidance_scale=8.0, images_per_caption=2
    )
    counts = {name: parameters.images_per_caption_of(name) for name in sets}
    assert counts == {"synthetic": 4, "real": 1, "rendered": 4, "w8": 2}


def test_an_arm_has_the_trainings_settings_but_for_its_own_keys(plain: dict[str, Any]) -> None:
    arms = {
        "slow": {
            "method": "simclr",
            "images": "real",
            "training": {"learning_rate": 0.001, "augmentation": {"jitter": 0.1}, "batch": {"chunk": 8}},
        }
    }
    parameters = Parameters.read(plain | {"arms": arms}, "")
    training = parameters.training_of("slow")
    assert (training.learning_rate, training.augmentation.jitter, training.batch.chunk) == (0.001, 0.1, 8)
    assert training.augmentation.min_crop == parameters.training.augmentation.min_crop
    assert training.batch.captions == parameters.training.batch.captions
    assert parameters.training.learning_rate == 0.003


def test_an_arm_has_the_views_of_its_method_but_for_its_own_keys(plain: dict[str, Any]) -> None:
    weak = {"clip": {"min_crop": 0.5, "blur_probability": 0.0}}
    training = plain["training"] | {"augmentation_by_method": weak}
    own = {"augmentation": {"min_crop": 0.7}}
    arms = {
        "plain": {"method": "simclr", "images": "real"},
        "weak": {"method": "clip", "images": "real"},
        "own": {"method": "clip", "images": "real", "training": own},
    }
    parameters = Parameters.read(plain | {"arms": arms, "training": training}, "")
    views = {name: parameters.training_of(name).augmentation for name in arms}
    common = parameters.training.augmentation
    assert views["plain"] == common
    assert views["weak"] == common.changed(min_crop=0.5, blur_probability=0.0)
    assert views["own"] == common.changed(min_crop=0.7, blur_probability=0.0)


def test_views_of_a_method_that_is_not_there_are_refused_unless_they_are_removed(
    plain: dict[str, Any],
) -> None:
    training = plain["training"] | {"augmentation_by_method": {"klip": {"min_crop": 0.5}}}
    told = r"training.augmentation_by_method.klip: unknown key; must be one of clip, simclr"
    assert refused(plain, training=training).startswith(told)
    training["augmentation_by_method"] = {"klip": None}
    assert Parameters.read(plain | {"training": training}, "").training.augmentation_by_method == {}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"source": "generatd"},
            "source: got 'generatd'; must be one of corpus, generated, mixture, rendered.",
        ),
        ({}, "source: missing; must be given"),
        (
            {"source": "generated", "guidance_scal": 3},
            "guidance_scal: unknown key; must be one of as_many_as, batch_size",
        ),
        ({"source": "generated", "guidance_scale": -3}, "guidance_scale: got -3; must be >= 0 and <= 100"),
        ({"source": "generated", "images_per_caption": 0}, "images_per_caption: got 0; must be >= 1"),
        (
            {"source": "corpus", "guidance_scale": 3},
            "guidance_scale: got 3; only a set with source: generated",
        ),
        ({"source": "corpus", "of": {"real": 1.0}}, "of: got {'real': 1.0}; must be null for source: corpus"),
        ({"source": "rendered", "size_px": 64}, "size_px: got 64; must be null for source: rendered"),
        ({"source": "mixture"}, "of: got None; must be sets with shares above 0 that add up to 1"),
        ({"source": "mixture", "of": {"real": 0.5}}, "of: got {'real': 0.5}; must be sets with shares"),
        (
            {"source": "mixture", "of": {"real": 1.5, "synthetic": -0.5}},
            "of: got {'real': 1.5, 'synthetic': -0",
        ),
        (
            {"source": "mixture", "of": {"reel": 1.0}},
            "of: got 'reel'; must be one of real, rendered, synthetic",
        ),
        ({"source": "mixture", "of": {"x": 1.0}}, "of: got 'x'; a set must not need itself: x needs x"),
        ({"source": "rendered", "as_many_as": "reel"}, "as_many_as: got 'reel'; must be one of real, re"),
        ({"source": "rendered", "as_many_as": "x"}, "as_many_as: got 'x'; a set must not need itself: x"),
        (
            {"source": "rendered", "as_many_as": "real", "num_images": 3},
            "as_many_as: got 'real'; must be null where num_images is set",
        ),
        (
            {"source": "corpus", "evaluation_set": "scene"},
            "evaluation_set: got 'scene'; must be one of hard_scenes, scenes",
        ),
        (
            {"source": "rendered", "evaluation_set": "scenes"},
            "evaluation_set: got 'scenes'; must be null for",
        ),
    ],
)
def test_an_image_set_that_cannot_be_made_is_refused(
    plain: dict[str, Any], settings: dict[str, Any], told: str
) -> None:
    sets = plain["image_sets"] | {"x": settings}
    message = refused(plain, image_sets=sets)
    assert message.startswith(f"image_sets.x.{told}")
    assert "Set it in conf/params/experiment/<name>.yaml." in message or message.endswith("?")


def test_images_of_an_evaluation_set_are_not_mixed_with_others(plain: dict[str, Any]) -> None:
    sets = plain["image_sets"] | {
        "labelled": {"source": "corpus", "evaluation_set": "scenes"},
        "mixed": {"source": "mixture", "of": {"labelled": 0.5, "real": 0.5}},
    }
    told = "image_sets.mixed.of: got 'labelled'; must be without sets of an evaluation set"
    assert refused(plain, image_sets=sets).startswith(told)


def test_a_circle_of_mixtures_is_refused_and_a_mixture_of_mixtures_is_not(plain: dict[str, Any]) -> None:
    half = {"source": "mixture", "of": {"real": 0.5, "synthetic": 0.5}}
    sets = plain["image_sets"] | {"half": half, "third": {"source": "mixture", "of": {"half": 1.0}}}
    assert set(Parameters.read(plain | {"image_sets": sets}, "").image_sets) == set(sets)
    sets["half"] = {"source": "mixture", "of": {"third": 1.0}}
    assert "a set must not need itself: half needs third needs half" in refused(plain, image_sets=sets)


def test_a_circle_of_a_mixture_and_a_set_of_its_size_is_refused(plain: dict[str, Any]) -> None:
    half = {"source": "mixture", "of": {"real": 0.5, "synthetic": 0.5}}
    equal = {"source": "rendered", "as_many_as": "half"}
    sets = plain["image_sets"] | {"half": half, "equal": equal}
    assert Parameters.read(plain | {"image_sets": sets}, "").image_sets["equal"].as_many_as == "half"
    sets["real"] = sets["real"] | {"as_many_as": "equal"}
    assert "needs equal needs half needs real" in refused(plain, image_sets=sets)


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        (
            {"method": "stablerap", "images": "synthetic"},
            "method: got 'stablerap'; must be one of clip, simclr",
        ),
        (
            {"method": "simclr", "images": "sinthetic"},
            "images: got 'sinthetic'; must be one of real, rendered",
        ),
        ({"method": "stablerep", "images": "real"}, "images: got 'real', a set with 1 images per caption; "),
        ({"method": "simclr"}, "images: missing; must be given"),
        (
            {"method": "simclr", "images": "real", "seed": 1},
            "seed: unknown key; must be one of as_much_compute_as, head",
        ),
        (
            {"method": "simclr", "images": "real", "training": {"learning_rat": 1}},
            "training.learning_rat: unknown key; must be one of augmentation, augmentation_by_method, batch",
        ),
        (
            {"method": "simclr", "images": "real", "training": {"learning_rate": -1}},
            "training.learning_rate: got -1; must be >= 0 and <= 100",
        ),
        (
            {"method": "simclr", "images": "real", "training": {"num_images": 9}},
            "training.num_images: got 9; must be >= 128, the views of one step",
        ),
        (
            {"method": "simclr", "images": "real", "head": {"kind": "moco"}},
            "head.kind: got 'moco'; must be one of moco_v3, stablerep",
        ),
        (
            {
                "method": "clip",
                "images": "real",
                "training": {"augmentation_by_method": {"clip": {"min_crop": 0.5}}},
            },
            "training.augmentation_by_method: an arm has one method; set arms.a.training.augmentation",
        ),
        (
            {"method": "simclr", "images": "real", "training": {"batch": 3}},
            "training.batch: got 3; must be set",
        ),
    ],
)
def test_an_arm_that_cannot_be_trained_is_refused(
    plain: dict[str, Any], arm: dict[str, Any], told: str
) -> None:
    assert refused(plain, arms={"a": arm}).startswith(f"arms.a.{told}")


def test_a_batch_must_hold_whole_captions_and_two_of_them(plain: dict[str, Any]) -> None:
    arms = {"one": {"method": "stablerep", "images": "synthetic"}}

    def small(captions: int, images_per_caption: int) -> dict[str, Any]:
        batch = {"captions": captions, "images_per_caption": images_per_caption, "chunk": None}
        return {"training": plain["training"] | {"batch": batch, "num_images": 128}, "arms": arms}

    assert "multiple of 4, those of one caption in arms.one with method.stablerep" in refused(
        plain, **small(33, 2)
    )
    told = "training.batch.captions: got 1, with 4 images of each, 4 views"
    assert refused(plain, **small(1, 4)).startswith(told)
    assert Parameters.read(plain | small(2, 4), "").training.batch.captions == 2


def test_more_images_in_a_batch_than_a_set_has_are_refused(plain: dict[str, Any]) -> None:
    method = plain["method"] | {"stablerep": plain["method"]["stablerep"] | {"images_per_caption": 8}}
    message = refused(plain, method=method)
    assert message.startswith("arms.stablerep.images: got 'synthetic', a set with 4 images per caption")
    assert "Change method.stablerep.images_per_caption, or image_sets.synthetic" in message


@pytest.mark.parametrize("section", ["arms", "image_sets", "evaluation_sets"])
@pytest.mark.parametrize("name", ["", "../a", "a b", "a/b", "stäble", "a.b", "a\n", "a_seed_1"])
def test_a_name_that_is_no_files_name_is_refused(plain: dict[str, Any], section: str, name: str) -> None:
    entry = next(iter(plain[section].values()))
    message = refused(plain, **{section: plain[section] | {name: entry}})
    assert message.startswith(f"{section}: got the name {name!r}; must be ")


@pytest.mark.parametrize("section", ["arms", "image_sets", "evaluation_sets"])
def test_none_of_something_is_refused(plain: dict[str, Any], section: str) -> None:
    assert refused(plain, **{section: {}}).startswith(f"{section}: got none; must name at least one")
    # null takes an entry away
    assert refused(plain, **{section: {"a": None}}).startswith(f"{section}: got none")
