"""Captions and a generator in; accuracy over the guidance scale and a recommendation out."""

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
    """Returns the graph; trials are scored on the first evaluation set, and reuse images of generated sets.

    Args:
        parameters: as composed.
    """
    first = next(iter(parameters["evaluation_sets"]))
    sets = parameters["image_sets"].items()
    generated = [name for name, settings in sets if settings["source"] == "generated"]
    inputs = {
        "caption_set": "caption_set",
        "takedowns": "takedowns",
        "evaluation_set": evaluation_set_of(first),
        "generator_folder": "generator_folder",
        "study_folder": "study_folder",
        "features_work": "features_work",
        **{key: f"params:{key}" for key in _KEYS},
        **{f"place_{name}": f"place_of_image_set_{name}" for name in generated},
    }
    outputs = ["guidance_trials", "guidance_curve", "guidance_recommendation"]
    return Pipeline([node(tune_guidance, inputs, outputs, name="tune_guidance")])
