"""What people bring, read and filtered: captions that an image may be made of."""

from stablerep.curation.filters import run_filters
from stablerep.curation.reading import read_captions

__all__ = ["read_captions", "run_filters"]
