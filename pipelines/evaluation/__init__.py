"""Encoders to accuracies on the evaluation sets."""

from pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
