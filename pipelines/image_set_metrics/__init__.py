"""Image sets to their metrics, against a reference set of real images."""

from pipelines.image_set_metrics.pipeline import create_pipeline

__all__ = ["create_pipeline"]
