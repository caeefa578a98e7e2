"""Drops captions that were there before: equal captions are one caption."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from stablerep.curation.filters import CaptionFilter


@dataclass(frozen=True)
class Duplicates(CaptionFilter):
    """Keeps the first of the captions that share an id, that is, a text but for case and whitespace.

    The score is how many equal captions came before.
    """

    name: ClassVar[str] = "duplicates"

    def score(self, captions: pd.DataFrame) -> pd.Series:
        """Counts the equal captions before each."""
        return captions.groupby("caption_id", sort=False).cumcount()

    def fault(self, score: float) -> str | None:
        """Returns `exact_duplicate` for all but the first."""
        return "exact_duplicate" if score > 0 else None
