"""Image sets and evaluation sets in, a table of metrics and one of near images out."""

from typing import Any

from kedro.pipeline import Pipeline, node

from pipelines.image_set_metrics.nodes import measure_image_sets
from pipelines.run.items import evaluation_set_of, image_set_of

# Single keys of `generator` and `pretraining`: a set's metrics do not depend on the others.
_KEYS = {
    "set_metrics": "set_metrics",
    "set_comparison": "set_comparison",
    "extractor": "extractor",
    "evaluation_sets": "evaluation_sets",
    "image_sets": "image_sets",
    "corpus": "corpus",
    "alignment": "alignment",
    "audit": "curation.audit",
    "size_px": "encoder.backbone.size_px",
    "seeds": "seeds",
    "model_folder": "generator.model_folder",
    "generator_name": "pretraining.name",
    "training_images": "pretraining.images",
    "pool_size": "pretraining.pool_size",
    "pretraining_seed": "pretraining.seed",
}


def create_pipeline(parameters: dict[str, Any]) -> Pipeline:
    """Returns the graph.

    Args:
        parameters: as composed.
    """
    inputs = {
        "set_features_work": "set_features_work",
        "scorer_folder": "scorer_folder",
        "takedowns": "takedowns",
        **{name: f"params:{key}" for name, key in _KEYS.items()},
        **{image_set_of(name): image_set_of(name) for name in parameters["image_sets"]},
        **{evaluation_set_of(name): evaluation_set_of(name) for name in parameters["evaluation_sets"]},
    }
    outputs = ["image_set_metrics", "near_images"]
    return Pipeline([node(measure_image_sets, inputs, outputs, name="measure_image_sets")])
