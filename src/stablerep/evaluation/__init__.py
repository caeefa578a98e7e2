"""Scores frozen encoders on labelled images: linear probe and kNN, with intervals over units."""
