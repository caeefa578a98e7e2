"""The corpus's own images to their table."""

from pipelines.corpus.pipeline import create_pipeline

__all__ = ["create_pipeline"]
