"""StableRep: vision encoders learned from images that a text-to-image model makes of captions.

A plain library: no Kedro, Hydra or MLflow in it. `docs/architecture.md` shows how its parts stand.
Source of the method: arXiv:2306.00984.
"""
