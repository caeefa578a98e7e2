"""The guidance scale's study; not part of the default run."""

from pipelines.tuning.pipeline import create_pipeline

__all__ = ["create_pipeline"]
