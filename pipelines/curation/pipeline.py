"""Captions in, curated captions and rejects out."""

from kedro.pipeline import Pipeline, node

from pipelines.curation.nodes import curate_captions


def create_pipeline() -> Pipeline:
    """Returns the graph of the room."""
    return Pipeline(
        [
            node(
                curate_captions,
                ["captions", "takedowns", "params:captions"],
                ["curated_captions", "rejected_captions"],
                name="curate_captions",
            )
        ]
    )
