"""Captioned images to the embedded generator's weights."""

from pipelines.pretraining.pipeline import create_pipeline

__all__ = ["create_pipeline"]
