"""Scores encoders on real scenes of held-out hands, and images against their captions."""
