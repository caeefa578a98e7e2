"""What the tests of whole curations share: tables as they are read, and a run over them."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from stablerep.curation.curate import curate
from stablerep.curation.filter import Step
from stablerep.curation.reading.engine import SCHEMA


def frame_of(texts: Sequence[str], source: str = "test") -> pl.DataFrame:
    """Returns the table that `CaptionFiles.batches` would give."""
    num = len(texts)
    columns = {"row": range(num), "caption": texts, "source": [source] * num, "licence": ["CC0-1.0"] * num}
    return pl.DataFrame({**columns, "line": range(2, num + 2), "fault": [None] * num}, SCHEMA)


def batches_of(frame: pl.DataFrame, size: int) -> list[pl.DataFrame]:
    return list(frame.iter_slices(size))


def run(
    frame: pl.DataFrame, steps: Sequence[Step], size: int = 64, **options: Any
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Returns the kept and the rejected captions, in the order of their rows."""
    with tempfile.TemporaryDirectory() as folder:
        curation = curate(batches_of(frame, size), steps, Path(folder), **options)
        kept, rejected = curation.kept().collect(), curation.rejected().collect()
        assert curation.num_read + curation.num_replaced == len(kept) + len(rejected)
        assert (curation.num_kept, curation.num_rejected) == (len(kept), len(rejected))
        return kept, rejected.sort("row", maintain_order=True)
