"""Adapters of the evaluation room."""

from typing import Any


def evaluate_encoders(**inputs: Any) -> Any:
    raise NotImplementedError
