"""The gate before images are made: curated captions to the caption set."""

from pipelines.validation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
