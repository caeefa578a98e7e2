"""Encoders, projection heads and the text tower."""
