"""Encoders to accuracies on real scenes of held-out hands."""

from pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
