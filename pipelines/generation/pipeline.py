"""Captions to image shards, and these through the image gate."""

from kedro.pipeline import Pipeline, node

from pipelines.generation.nodes import generate_images, inspect_images


def create_pipeline() -> Pipeline:
    """Returns the graph of the room."""
    return Pipeline(
        [
            node(
                generate_images,
                [
                    "caption_set",
                    "takedowns",
                    "generator_folder",
                    "image_store",
                    "params:generation",
                    "params:execution",
                    "params:seed",
                ],
                ["image_manifest", "generation_ledger"],
                name="generate_images",
            ),
            node(
                inspect_images,
                ["image_manifest", "image_store", "params:gates", "data_docs"],
                ["accepted_images", "image_gate"],
                name="inspect_images",
            ),
        ]
    )
