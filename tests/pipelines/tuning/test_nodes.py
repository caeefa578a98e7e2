"""Adapters of the tuning room."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.config.loader import compose
from pipelines.tuning import create_pipeline
from pipelines.tuning.nodes import tune_guidance
from stablerep.errors import ConfigError

PROJECT = Path(__file__).parents[3]
NONE = pd.DataFrame()


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
    folders = dict.fromkeys(("generator_folder", "study_folder", "features_work"), tmp_path)
    tables = {"caption_set": NONE, "takedowns": NONE, "evaluation_set": NONE}
    keys = ("corpus", "tuning", "generator", "executor", "encoder", "training", "evaluation_sets")
    rest = {key: parameters[key] for key in (*keys, "evaluation", "seeds")}
    with pytest.raises(ConfigError, match=message):
        tune_guidance(**tables, **folders, **rest, method=method)
    assert list(tmp_path.iterdir()) == []


def test_trials_are_scored_on_the_first_evaluation_set(parameters: dict[str, Any]) -> None:
    sets = {"first": parameters["evaluation_sets"]["scenes"], **parameters["evaluation_sets"]}
    inputs = create_pipeline(parameters | {"evaluation_sets": sets}).inputs()
    assert [each for each in inputs if each.startswith("evaluation_set_of_")] == ["evaluation_set_of_first"]
