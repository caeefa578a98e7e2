"""Trained arms in, accuracies on held-out hands out."""

from kedro.pipeline import Pipeline, node

from pipelines.evaluation.nodes import extract_features, score_features
from pipelines.run.arms import Arm, encoder_of


def create_pipeline(arms: list[Arm]) -> Pipeline:
    """Returns the graph of the room."""
    encoders = [encoder_of(arm["name"]) for arm in arms]
    return Pipeline(
        [
            node(
                extract_features,
                ["params:scenes", "params:model", "params:seed", *encoders],
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
