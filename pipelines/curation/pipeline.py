"""Captions in, curated captions and rejects out, and a page that tells what became of them."""

from kedro.pipeline import Pipeline, node

from pipelines.curation.nodes import curate_captions, describe_curation


def create_pipeline() -> Pipeline:
    """Returns the graph of the room."""
    return Pipeline(
        [
            node(
                curate_captions,
                [
                    "captions",
                    "takedowns",
                    "caption_edits",
                    "generator_folder",
                    "curation_work",
                    "params:curation",
                ],
                ["curated_captions", "rejected_captions", "caption_scores", "curation"],
                name="curate_captions",
            ),
            node(
                describe_curation,
                ["curation", "params:curation"],
                ["curation_ledger", "concept_balance", "caption_audit", "curation_page"],
                name="describe_curation",
            ),
        ]
    )
