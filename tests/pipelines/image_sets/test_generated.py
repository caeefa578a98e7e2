"""What the nodes of a generated set hand to the library; nothing is drawn here."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.config.loader import compose
from pipelines.image_sets.amounts import amounts_of
from pipelines.image_sets.generated import alignment_of, captions_of_set, generate_images
from pipelines.image_sets.pipeline import create_set_pipeline
from stablerep.alignment.settings import AlignmentSettings
from stablerep.errors import ConfigError
from stablerep.generation.diffusion.settings import GeneratorSettings
from tests.stablerep.image_sets.sets import caption_table, no_takedowns, rendered

PROJECT = Path(__file__).parents[3]
KEEP_ALL = AlignmentSettings.read({"policy": {}})
CAPTIONS = caption_table([f"a number {number}" for number in range(10)])


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    return compose(PROJECT / "conf/params", {"alignment": "unscored"})


def four_each(parameters: dict[str, Any]) -> GeneratorSettings:
    return GeneratorSettings.read(parameters["generator"] | {"images_per_caption": 4})


@pytest.mark.parametrize(
    ("image_set", "expected"),
    [
        ({}, 10),
        ({"num_captions": 4}, 4),
        ({"num_images": 8}, 2),
        ({"num_images": 9}, 3),
        ({"num_images": 8, "num_captions": 1}, 1),
        ({"num_images": 400}, 10),
    ],
)
def test_as_many_captions_are_drawn_as_the_numbers_of_the_set_ask_for(
    parameters: dict[str, Any], image_set: dict[str, Any], expected: int
) -> None:
    chosen = captions_of_set(CAPTIONS, image_set, four_each(parameters), KEEP_ALL, None)
    assert chosen["text"].tolist() == CAPTIONS["text"].tolist()[:expected]


def test_captions_make_up_for_the_share_that_the_policy_drops(parameters: dict[str, Any]) -> None:
    half = KEEP_ALL.changed(scorer={"_target_": "any"}, policy=KEEP_ALL.policy.changed(drop_share=0.5))
    assert len(captions_of_set(CAPTIONS, {"num_images": 8}, four_each(parameters), half, None)) == 4


def test_a_set_has_its_own_policy_beside_the_keys_that_it_does_not_change() -> None:
    alignment = {"scorer": {"_target_": "a.B"}, "policy": {"drop_share": 0.02, "min_alignment": 0.1}}
    own = alignment_of("mine", alignment, {"policy": {"drop_share": 0.3}})
    assert (own.policy.drop_share, own.policy.min_alignment) == (0.3, 0.1)
    assert own.scorer == alignment["scorer"]
    assert alignment_of("mine", alignment, {}) == AlignmentSettings.read(alignment)


def test_a_mixture_has_at_most_as_many_images_or_captions_as_another_set(tmp_path: Path) -> None:
    other = rendered(tmp_path)
    mixture = {"source": "mixture", "as_many_as": "rendered", "shares_of": "images"}
    assert amounts_of(mixture, other)["most"] == 6
    assert amounts_of(mixture, other)["num_images"] is None
    assert amounts_of(mixture | {"shares_of": "captions"}, other)["most"] == 3


def test_as_many_images_are_drawn_as_another_set_has(parameters: dict[str, Any], tmp_path: Path) -> None:
    other = rendered(tmp_path)
    assert amounts_of({"as_many_as": "rendered"}, other)["num_images"] == len(other.images) == 6
    chosen = captions_of_set(CAPTIONS, {}, four_each(parameters), KEEP_ALL, other)
    assert len(chosen) == 2, "six images are two captions of four, the last cut"
    half = {"policy": parameters["alignment"]["policy"] | {"drop_share": 0.5}, "scorer": {"_target_": "a.B"}}
    drops_half = AlignmentSettings.read(parameters["alignment"] | half)
    chosen = captions_of_set(CAPTIONS, {}, four_each(parameters), drops_half, other)
    assert len(chosen) == 3, "twelve images are drawn, of which the policy takes half"


def test_the_other_set_is_an_input_of_every_node_that_counts(parameters: dict[str, Any]) -> None:
    sets = {"real": {"source": "corpus"}, "equal": {"source": "generated", "as_many_as": "real"}}
    graph = create_set_pipeline("equal", parameters | {"image_sets": sets})
    users = {node.name.rsplit(".", 1)[-1] for node in graph.nodes if "image_set_of_real" in node.inputs}
    assert users == {"generate_images", "apply_policy", "inspect_images"}
    assert graph.outputs() >= {"image_set_of_equal"}


def given(parameters: dict[str, Any], tmp_path: Path, **changed: Any) -> dict[str, Any]:
    inputs = {
        "name": "w8",
        "caption_set": CAPTIONS,
        "takedowns": no_takedowns(),
        "generator_folder": tmp_path / "generator",
        "place": tmp_path / "w8",
        "image_set": {"source": "generated"},
        "scorer_folder": None,
        **{key: parameters[key] for key in ("generator", "executor", "seeds", "alignment")},
    }
    return inputs | changed


def test_a_set_is_drawn_with_its_own_keys_of_the_generator(
    parameters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def drawn(request: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
        calls.append(request)
        return pd.DataFrame(), {}

    monkeypatch.setattr("stablerep.generation.image_sets.image_set.make_image_set", drawn)
    own = {"source": "generated", "guidance_scale": 8, "images_per_caption": 2, "num_images": 6}
    generate_images(**given(parameters, tmp_path, image_set=own))
    generate_images(**given(parameters, tmp_path))
    first, second = calls
    settings, captions = first.settings, first.captions
    assert (settings.guidance_scale, settings.images_per_caption, len(captions)) == (8.0, 2, 3)
    assert settings.num_inference_steps == parameters["generator"]["num_inference_steps"]
    assert (first.model_folder, first.store, first.seed) == (tmp_path / "generator", tmp_path / "w8", 0)
    assert second.settings.guidance_scale == parameters["generator"]["guidance_scale"]
    assert len(second.captions) == 10


@pytest.mark.parametrize("rejects", [False, True])
def test_the_embedded_scorer_rejects_no_images_of_another_model(
    parameters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, rejects: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(
        "stablerep.generation.image_sets.image_set.make_image_set", lambda *_: (pd.DataFrame(), {})
    )
    embedded = compose(PROJECT / "conf/params", {})["alignment"]
    keep = compose(PROJECT / "conf/params", {"alignment": "unscored"})["alignment"]["policy"]
    alignment = embedded if rejects else embedded | {"policy": keep}
    inputs = given(parameters, tmp_path, alignment=alignment, scorer_folder=PROJECT / "data/06_models/scorer")
    other = {"source": "generated", "model_folder": str(tmp_path / "theirs")}
    if rejects:
        with pytest.raises(ConfigError, match=r"alignment\.scorer: got the embedded scorer"):
            generate_images(**inputs | {"image_set": other})
    else:
        with caplog.at_level(logging.WARNING):
            generate_images(**inputs | {"image_set": other})
        assert "Nothing is rejected, but the scores mean nothing" in caplog.text
