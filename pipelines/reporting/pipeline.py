"""Tables, image sets and settings in, one page out."""

from typing import Any

from kedro.pipeline import Pipeline, node

from pipelines.reporting.nodes import CONFIGURATION_KEYS, audit_images, build_report, compare_versions
from pipelines.run.items import (
    encoder_names,
    evaluation_set_of,
    image_set_of,
    is_generated,
    needs_captions,
)


def create_pipeline(parameters: dict[str, Any]) -> Pipeline:
    """Returns the graph; what there is no captions or no generated images for is left out.

    Args:
        parameters: as composed.
    """
    generated = [name for name in parameters["image_sets"] if is_generated(parameters, name)]
    nodes = []
    inputs = {
        "metrics": "metrics",
        "unit_scores": "unit_scores",
        "stage_seconds": "stage_seconds",
        "image_set_metrics": "image_set_metrics",
        "near_images": "near_images",
        "features_work": "features_work",
        "previous_guidance_trials": "previous_guidance_trials",
        "previous_guidance_recommendation": "previous_guidance_recommendation",
        **{key: f"params:{key}" for key in CONFIGURATION_KEYS},
        **{dataset: dataset for dataset in encoder_names(parameters)},
        **{image_set_of(name): image_set_of(name) for name in parameters["image_sets"]},
        **{evaluation_set_of(name): evaluation_set_of(name) for name in parameters["evaluation_sets"]},
    }
    if needs_captions(parameters):
        captions = ("curated_captions", "rejected_captions", "caption_gate")
        inputs |= {name: name for name in captions}
    if generated:
        auditing = [image_set_of(generated[0]), "scorer_folder", "params:curation", "params:alignment"]
        audits = ["image_audit", "image_audit_pairs"]
        nodes.append(node(audit_images, auditing, audits, name="audit_images"))
        inputs |= {name: name for name in audits}
    nodes.append(node(build_report, inputs, ["report", "run_record"], name="build_report"))
    compared = {name: name for name in ("metrics", *encoder_names(parameters))}
    outputs = ["metrics_by_arm", "figures", "training_losses"]
    nodes.append(node(compare_versions, compared, outputs, name="compare_versions"))
    return Pipeline(nodes)
