"""Captions to image shards and their manifest."""

from pipelines.generation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
