"""Images to one encoder an arm."""

from pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
