"""Accepted images to one encoder an arm."""

from kedro.pipeline import Pipeline, node

from pipelines.training.nodes import train_arms


def create_pipeline() -> Pipeline:
    """Returns the graph of the room."""
    return Pipeline(
        [
            node(
                train_arms,
                [
                    "accepted_images",
                    "image_store",
                    "caption_set",
                    "generator_folder",
                    "training_work",
                    "params:arms",
                    "params:methods",
                    "params:model",
                    "params:optimisation",
                    "params:generation",
                    "params:seed",
                ],
                "encoders",
                name="train_arms",
            )
        ]
    )
