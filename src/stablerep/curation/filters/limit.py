"""Cuts the captions to a number, for a quick run."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from stablerep.curation.filter import Batches, CaptionFilter, CorpusFilter, reason_where
from stablerep.curation.settings import WHERE
from stablerep.errors import check_range


@dataclass(frozen=True)
class Limit(CorpusFilter):
    """Keeps the first max_captions of what is left, in the files' order: no draw, so no seed.

    Attributes:
        max_captions: at least 1.
    """

    max_captions: int
    name: ClassVar[str] = "limit"
    obeys_people: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Checks the bound."""
        check_range("curation.max_captions", self.max_captions, 1, where=WHERE)

    def survey(self, batches: Batches, folder: Path) -> CaptionFilter:
        """Needs only the places, which the next pass gives."""
        return self

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Gives each caption its place among those left, from 1."""
        return captions["place"] + 1

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `over_max_captions` behind the cut."""
        return reason_where(score > self.max_captions, "over_max_captions")
