"""The embedded corpus: scenes of real handwritten digits, and everything that knows digits."""
