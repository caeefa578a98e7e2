"""Trained arms in, accuracies on held-out hands out."""

from kedro.pipeline import Pipeline, node

from pipelines.evaluation.nodes import extract_features, score_features


def create_pipeline() -> Pipeline:
    """Returns the graph of the room."""
    return Pipeline(
        [
            node(
                extract_features,
                ["encoders", "params:scenes", "params:model", "params:seed"],
                "features",
                name="extract_features",
            ),
            node(
                score_features,
                ["features", "params:probe", "params:seed"],
                ["metrics", "hand_scores"],
                name="score_features",
            ),
        ]
    )
