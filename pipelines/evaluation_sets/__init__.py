"""Each evaluation set to its table."""

from pipelines.evaluation_sets.pipeline import create_pipeline

__all__ = ["create_pipeline"]
