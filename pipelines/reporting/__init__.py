"""Everything that a run found, on one page."""

from pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
