"""Captions as people wrote them to captions that an image may be made of."""

from pipelines.curation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
