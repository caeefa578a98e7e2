"""Curated captions in, the caption set out, where the gate lets it pass."""

from kedro.pipeline import Pipeline, node

from pipelines.validation.nodes import check_captions


def create_pipeline() -> Pipeline:
    """Returns the graph."""
    return Pipeline(
        [
            node(
                check_captions,
                [
                    "curated_captions",
                    "evaluation_captions",
                    "params:validation",
                    "params:corpus",
                    "params:image_sets",
                    "params:arms",
                    "params:method",
                    "params:training",
                    "data_docs",
                ],
                ["caption_set", "caption_gate"],
                name="check_captions",
            )
        ]
    )
