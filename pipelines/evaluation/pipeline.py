"""Trained arms in, accuracies on held-out hands out."""

from kedro.pipeline import Pipeline, node

from pipelines.evaluation.nodes import evaluate_encoders


def create_pipeline() -> Pipeline:
    """Returns the graph of the room."""
    return Pipeline(
        [
            node(
                evaluate_encoders,
                ["encoders", "params:scenes", "params:probe", "params:model", "params:seed"],
                ["metrics", "hand_scores"],
                name="evaluate_encoders",
            )
        ]
    )
