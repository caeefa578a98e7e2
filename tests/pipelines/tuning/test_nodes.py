"""Adapters of the tuning room."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.config.loader import compose
from pipelines.tuning import create_pipeline
from pipelines.tuning.nodes import tune_guidance
from pipelines.tuning.pipeline import _KEYS
from stablerep.caption_ids import caption_id_of
from stablerep.curation.people.takedowns import no_takedowns
from stablerep.errors import ConfigError
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set

PROJECT = Path(__file__).parents[3]
NONE = pd.DataFrame()
NUM_CAPTIONS = 32


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    return compose(PROJECT / "conf/params", {"experiment": "smoke"})


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"simclr": {}}, "method: got simclr; must name stablerep"),
        ({"stablerep": {"images_per_caption": 4}}, "tuning.images_per_caption: got 2; must be >= .* = 4"),
    ],
)
def test_a_study_that_cannot_train_its_arm_says_so_before_an_image_is_made(
    tmp_path: Path, parameters: dict[str, Any], method: dict[str, Any], message: str
) -> None:
    folders = {"generator_folder": tmp_path, "study_folder": tmp_path, "features_work": tmp_path}
    tables = {"caption_set": NONE, "takedowns": NONE, "evaluation_set": NONE}
    values = {key: parameters[key] for key in _KEYS} | {"method": method}
    with pytest.raises(ConfigError, match=message):
        tune_guidance(**tables, **folders, **values)
    assert list(tmp_path.iterdir()) == []


def test_trials_are_scored_on_the_first_evaluation_set(parameters: dict[str, Any]) -> None:
    sets = {"first": parameters["evaluation_sets"]["scenes"], **parameters["evaluation_sets"]}
    inputs = create_pipeline(parameters | {"evaluation_sets": sets}).inputs()
    assert [each for each in inputs if each.startswith("evaluation_set_of_")] == ["evaluation_set_of_first"]


def test_trials_take_images_of_the_generated_sets_of_the_experiment(parameters: dict[str, Any]) -> None:
    sets = {**parameters["image_sets"], "w8": {"source": "generated", "guidance_scale": 8}}
    inputs = create_pipeline(parameters | {"image_sets": sets}).inputs()
    generated = {name for name, each in sets.items() if each["source"] == "generated"}
    assert "w8" in generated and len(generated) < len(sets)
    assert {each for each in inputs if each.startswith("place_of_")} == {
        f"place_of_image_set_{name}" for name in generated
    }


# --------------------------------------------------------------------------------------- whole studies


@pytest.fixture(scope="module")
def captions() -> pd.DataFrame:
    texts = pd.read_csv(PROJECT / "data/01_raw/captions.csv")["caption"].drop_duplicates().head(NUM_CAPTIONS)
    rows = {"caption_id": texts.map(caption_id_of), "text": texts, "source": "test", "licence": "CC0-1.0"}
    return pd.DataFrame(rows).reset_index(drop=True)


@pytest.fixture(scope="module")
def study(parameters: dict[str, Any], captions: pd.DataFrame) -> Any:
    """Returns a function that runs a study of one scale and two seeds in a folder."""
    from pipelines.config.corpus import build_evaluation_set, index_of

    sets = {"scenes": parameters["evaluation_sets"]["scenes"]}
    table = index_of(build_evaluation_set("scenes", sets["scenes"]), "evaluation_sets.scenes", None)
    changed = {
        "tuning": parameters["tuning"] | {"num_scales": 1, "low": 2.0, "high": 4.0, "num_images": 384},
        "training": parameters["training"] | {"checkpoint_every_steps": 1, "checkpoint_every_s": 0},
        "generator": parameters["generator"] | {"dtype": "float32"},
        "evaluation_sets": sets,
    }
    values = {key: parameters[key] for key in _KEYS} | changed

    def run(folder: Path, **places: Path) -> tuple[pd.DataFrame, Any, dict[str, Any]]:
        return tune_guidance(
            captions,
            no_takedowns(),
            table,
            PROJECT / "data/06_models/generator",
            folder / "study",
            folder / "features",
            **values,
            **places,
        )

    return run


def test_a_trial_that_is_killed_continues_from_its_checkpoint_to_the_same_score(
    tmp_path: Path, study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stablerep.training.loop import _Training

    steps: list[int] = []
    step = _Training.step
    dies_at: list[int] = []

    def counted(self: Any, number: int, read: Any) -> Any:
        steps.append(number)
        if len(steps) - 1 in dies_at:
            raise KeyboardInterrupt
        return step(self, number, read)

    monkeypatch.setattr(_Training, "step", counted)
    whole, _, found = study(tmp_path / "whole")
    num_steps = len(steps) // 2
    assert steps == [*range(num_steps)] * 2 and num_steps >= 6
    assert found["sentences"][0].startswith("guidance scale ")
    assert whole["unit_scores"].map(len).nunique() == 1
    assert whole["unit_scores"][0] != whole["unit_scores"][1], "seeds differ"

    steps.clear()
    dies_at.append(4)
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path / "killed")
    steps.clear()
    dies_at.clear()
    resumed, _, _ = study(tmp_path / "killed")
    assert steps == [*range(4, num_steps), *range(num_steps)]
    complete = resumed[resumed["state"] == "complete"]
    assert complete["unit_scores"].tolist() == whole["unit_scores"].tolist()
    # what a trial no longer needs is gone
    assert not list((tmp_path / "killed/study/checkpoints").iterdir())


def test_a_trial_copies_the_images_of_a_set_that_has_them(
    tmp_path: Path, study: Any, parameters: dict[str, Any], captions: pd.DataFrame, monkeypatch: Any
) -> None:
    drawn = parameters["generator"] | {"dtype": "float32", "guidance_scale": 2.0}
    folder, store = PROJECT / "data/06_models/generator", tmp_path / "synthetic"
    make_image_set(ImageSetRequest(captions, GeneratorSettings.read(drawn), folder, store, 0))
    monkeypatch.setattr("stablerep.generation.image_sets.workers.DiffusersGenerator", None)
    trials, _, _ = study(tmp_path, place_synthetic=store)
    assert (trials["state"] == "complete").all()
