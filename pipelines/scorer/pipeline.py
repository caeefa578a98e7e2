"""Captioned images to the embedded scorer and its card; not part of the default run."""

from kedro.pipeline import Pipeline, node

from pipelines.scorer.nodes import measure_scorer, train_scorer


def create_pipeline() -> Pipeline:
    """Returns the graph."""
    return Pipeline(
        [
            node(
                train_scorer,
                ["params:scorer", "scorer_work", "place_of_scorer"],
                ["scorer_folder", "scorer_seconds"],
                name="train_scorer",
            ),
            node(
                measure_scorer,
                [
                    "scorer_seconds",
                    "scorer_folder",
                    "generator_folder",
                    "params:scorer",
                    "params:generator",
                ],
                ["scorer_card", "scorer_figures"],
                name="measure_scorer",
            ),
        ]
    )
