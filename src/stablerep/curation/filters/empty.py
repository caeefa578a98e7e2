"""Drops captions in which there is nothing to read."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from stablerep.curation.filter import CaptionFilter, reason_where


@dataclass(frozen=True)
class Empty(CaptionFilter):
    """Drops captions without a visible character; the score is their number."""

    name: ClassVar[str] = "empty"
    obeys_people: ClassVar[bool] = False  # no image shows nothing

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Counts visible characters."""
        # general categories C (control, format, unassigned) and Z (separators) show nothing
        return captions["text"].str.count_matches(r"[^\p{C}\p{Z}]")

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `empty_text` for none."""
        return reason_where(score < 1, "empty_text")
