"""Trained arms in, accuracies on held-out hands out."""

from kedro.pipeline import Pipeline, node

from pipelines.arms import Arm, encoder_of
from pipelines.evaluation.nodes import evaluate_encoders


def create_pipeline(arms: list[Arm]) -> Pipeline:
    """Returns the graph of the room."""
    encoders = [encoder_of(arm["name"]) for arm in arms]
    return Pipeline(
        [
            node(
                evaluate_encoders,
                ["params:scenes", "params:probe", "params:model", "params:seed", *encoders],
                ["metrics", "hand_scores"],
                name="evaluate_encoders",
            )
        ]
    )
