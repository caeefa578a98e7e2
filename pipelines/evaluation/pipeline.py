"""Encoders and evaluation sets in, scores with intervals out."""

from typing import Any

from kedro.pipeline import Pipeline, node

from pipelines.evaluation.nodes import evaluate_encoders
from pipelines.run.items import encoder_names, evaluation_set_of

_KEYS = ("evaluation", "evaluation_sets", "encoder", "references", "reporting", "seeds")


def create_pipeline(parameters: dict[str, Any]) -> Pipeline:
    """Returns the graph.

    Args:
        parameters: as composed.
    """
    inputs = {
        "features_work": "features_work",
        **{key: f"params:{key}" for key in _KEYS},
        **{evaluation_set_of(name): evaluation_set_of(name) for name in parameters["evaluation_sets"]},
        **{dataset: dataset for dataset in encoder_names(parameters)},
    }
    outputs = ["metrics", "unit_scores"]
    return Pipeline([node(evaluate_encoders, inputs, outputs, name="evaluate_encoders")])
