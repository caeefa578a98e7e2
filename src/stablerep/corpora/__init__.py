"""Corpora: what an experiment is about. `corpus.py` is the protocol, the other modules are ready-made ones."""
