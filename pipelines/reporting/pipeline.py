"""Tables, images and settings in, one page out."""

from kedro.pipeline import Pipeline, node

from pipelines.reporting.nodes import CONFIGURATION_KEYS, audit_images, build_report
from pipelines.run.arms import Arm, encoder_of


def create_pipeline(arms: list[Arm]) -> Pipeline:
    """Returns the graph of the room."""
    return Pipeline(
        [
            node(
                audit_images,
                [
                    "accepted_images",
                    "curated_captions",
                    "image_store",
                    "scorer_folder",
                    "params:captions",
                    "params:scoring",
                ],
                ["image_audit", "image_audit_pairs"],
                name="audit_images",
            ),
            node(
                build_report,
                {
                    "metrics": "metrics",
                    "hand_scores": "hand_scores",
                    "accepted_images": "accepted_images",
                    "image_manifest": "image_manifest",
                    "alignment_ledger": "alignment_ledger",
                    "image_store": "image_store",
                    "curated_captions": "curated_captions",
                    "rejected_captions": "rejected_captions",
                    "caption_gate": "caption_gate",
                    "image_gate": "image_gate",
                    "generation_ledger": "generation_ledger",
                    "stage_seconds": "stage_seconds",
                    "image_audit": "image_audit",
                    "image_audit_pairs": "image_audit_pairs",
                    **{key: f"params:{key}" for key in CONFIGURATION_KEYS},
                    **{name: name for name in (encoder_of(arm["name"]) for arm in arms)},
                },
                "report",
                name="build_report",
            ),
        ]
    )
