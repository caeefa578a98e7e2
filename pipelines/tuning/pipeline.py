"""Captions and a generator in, accuracy over the guidance scale out."""

from typing import Any

from kedro.pipeline import Pipeline, node

from pipelines.run.items import evaluation_set_of
from pipelines.tuning.nodes import tune_guidance

_KEYS = (
    "corpus",
    "tuning",
    "generator",
    "executor",
    "encoder",
    "method",
    "training",
    "evaluation_sets",
    "evaluation",
    "seeds",
)


def create_pipeline(parameters: dict[str, Any]) -> Pipeline:
    """Returns the graph; trials are scored on the experiment's first evaluation set.

    Args:
        parameters: as composed.
    """
    first = next(iter(parameters["evaluation_sets"]))
    inputs = {
        "caption_set": "caption_set",
        "takedowns": "takedowns",
        "evaluation_set": evaluation_set_of(first),
        "generator_folder": "generator_folder",
        "study_folder": "study_folder",
        "features_work": "features_work",
        **{key: f"params:{key}" for key in _KEYS},
    }
    return Pipeline(
        [node(tune_guidance, inputs, ["guidance_trials", "guidance_curve"], name="tune_guidance")]
    )
