"""Corpora: what an experiment is about. `corpus.py` is the protocol, the others are ready-made ones."""
