"""Adapters of the tuning room."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines.tuning.nodes import tune_guidance
from stablerep.errors import ConfigError

NONE = pd.DataFrame()
STUDY = {
    "num_trials": 1,
    "low": 1.0,
    "high": 8.0,
    "num_captions": 2,
    "images_per_caption": 2,
    "num_images": 8,
    "seed": 0,
}


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"simclr": {}}, "methods: got simclr; must name stablerep"),
        ({"stablerep": {"images_per_caption": 4}}, "study.images_per_caption: got 2; must be >= .* = 4"),
    ],
)
def test_a_study_that_cannot_train_its_arm_says_so_before_an_image_is_made(
    tmp_path: Path, methods: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        tune_guidance(NONE, NONE, tmp_path, tmp_path, STUDY, {}, {}, {}, {}, methods, {}, {}, {}, 0)
    assert list(tmp_path.iterdir()) == []
