"""Drops captions whose bytes were no text: their faults are counted and end no run."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from stablerep.curation.filter import CaptionFilter, reason_where


@dataclass(frozen=True)
class Readable(CaptionFilter):
    """Drops captions with bytes that were not UTF-8 (U+FFFD since they were read) or with NUL.

    The score is their number. It stands before the normalisation, which would take NUL out.
    """

    name: ClassVar[str] = "readable"

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Counts U+FFFD and NUL."""
        return captions["text"].str.count_matches("[\ufffd\\x00]")

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `broken_encoding` for any."""
        return reason_where(score > 0, "broken_encoding")
