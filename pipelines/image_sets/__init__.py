"""One sub-pipeline per image set."""

from pipelines.image_sets.pipeline import create_pipeline

__all__ = ["create_pipeline"]
