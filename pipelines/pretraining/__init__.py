"""Captioned images to a generator's weights."""

from pipelines.pretraining.pipeline import create_pipeline

__all__ = ["create_pipeline"]
