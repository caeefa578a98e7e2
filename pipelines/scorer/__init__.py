"""Captioned images to the embedded scorer's weights."""

from pipelines.scorer.pipeline import create_pipeline

__all__ = ["create_pipeline"]
