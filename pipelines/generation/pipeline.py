"""Captions to image shards, these through the alignment policy, and what is left through the image gate."""

from kedro.pipeline import Pipeline, node

from pipelines.generation.nodes import apply_policy, generate_images, inspect_images, score_images


def create_pipeline() -> Pipeline:
    """Returns the graph of the room."""
    drawing = [
        "caption_set",
        "takedowns",
        "generator_folder",
        "image_store",
        "params:generation",
        "params:execution",
        "params:seed",
        "params:scoring",
        "scorer_folder",
    ]
    return Pipeline(
        [
            node(generate_images, drawing, ["drawn_images", "generation_ledger"], name="generate_images"),
            node(
                score_images,
                ["drawn_images", "caption_set", "image_store", "params:scoring", "scorer_folder"],
                "drawn_scores",
                name="score_images",
            ),
            node(
                apply_policy,
                ["drawn_images", "drawn_scores", *drawing],
                ["image_manifest", "alignment_scores", "alignment_ledger"],
                name="apply_policy",
            ),
            node(
                inspect_images,
                [
                    "image_manifest",
                    "caption_set",
                    "takedowns",
                    "evaluation_captions",
                    "image_store",
                    "params:gates",
                    "data_docs",
                ],
                ["accepted_images", "image_gate"],
                name="inspect_images",
            ),
        ]
    )
