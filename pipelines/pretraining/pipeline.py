"""Captioned images to the embedded generator and its model card; not part of the default run."""

from kedro.pipeline import Pipeline, node

from pipelines.pretraining.nodes import measure_generator, pretrain_generator


def create_pipeline() -> Pipeline:
    """Returns the graph."""
    return Pipeline(
        [
            node(
                pretrain_generator,
                ["params:pretraining", "pretraining_work", "place_of_generator"],
                ["generator_folder", "pretraining_seconds"],
                name="pretrain_generator",
            ),
            node(
                measure_generator,
                [
                    "pretraining_seconds",
                    "generator_folder",
                    "params:pretraining",
                    "params:generator",
                ],
                ["generator_card", "generator_picture", "generator_figures"],
                name="measure_generator",
            ),
        ]
    )
