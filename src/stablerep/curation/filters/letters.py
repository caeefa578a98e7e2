"""Drops captions that are mostly numbers, signs or emoji."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from stablerep.curation.filter import CaptionFilter, reason_where
from stablerep.curation.settings import WHERE
from stablerep.errors import check_range


@dataclass(frozen=True)
class Letters(CaptionFilter):
    """Keeps captions of which a share of the visible characters are letters; the score is that share.

    Attributes:
        min_share: in [0, 1]; the bound itself is kept.
    """

    min_share: float
    name: ClassVar[str] = "letters"

    def __post_init__(self) -> None:
        """Checks the bound."""
        check_range("curation.filters.Letters.min_share", self.min_share, 0, 1, where=WHERE)

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Returns the share of letters (with their marks); 0 where nothing is visible."""
        text = pl.col("text")
        visible = text.str.count_matches(r"[^\p{C}\p{Z}]")
        letters = text.str.count_matches(r"[\p{L}\p{M}]")
        return captions.select(pl.when(visible > 0).then(letters / visible).otherwise(0.0)).to_series()

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `too_few_letters` below the bound."""
        return reason_where(score < self.min_share, "too_few_letters")
