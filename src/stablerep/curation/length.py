"""Drops captions that are too short to say anything, or too long for the text encoder to hear out."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from stablerep.curation.filters import CaptionFilter
from stablerep.errors import check_range

_WHERE = "conf/params/curation/<name>.yaml"


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
        check_range("captions.filters.Length.min_words", self.min_words, 0, where=_WHERE)
        check_range("captions.filters.Length.max_words", self.max_words, self.min_words, where=_WHERE)

    def score(self, captions: pd.DataFrame) -> pd.Series:
        """Counts words: what whitespace separates."""
        return captions["text"].map(lambda text: len(text.split())).astype("int64")

    def fault(self, score: float) -> str | None:
        """Returns `too_few_words` or `too_many_words`."""
        if score < self.min_words:
            return "too_few_words"
        return "too_many_words" if score > self.max_words else None
