"""Drops captions that are too short to say anything, or too long for anyone to mean them as a caption."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from stablerep.curation.filter import CaptionFilter, reason_where
from stablerep.curation.settings import WHERE
from stablerep.errors import check_range


@dataclass(frozen=True)
class Length(CaptionFilter):
    """Keeps captions of min_words to max_words words, both bounds included.

    Attributes:
        min_words: at least 0.
        max_words: at least min_words.
    """

    min_words: int
    max_words: int
    name: ClassVar[str] = "length"

    def __post_init__(self) -> None:
        """Checks the bounds."""
        check_range("curation.filters.Length.min_words", self.min_words, 0, where=WHERE)
        check_range("curation.filters.Length.max_words", self.max_words, self.min_words, where=WHERE)

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Counts words: what whitespace separates."""
        return captions["text"].str.count_matches(r"\S+")

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `too_few_words` or `too_many_words`."""
        return reason_where(score < self.min_words, "too_few_words").fill_null(
            reason_where(score > self.max_words, "too_many_words")
        )
