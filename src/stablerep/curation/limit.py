"""Cuts the captions to a number, for a quick run."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from stablerep.curation.filters import CaptionFilter
from stablerep.errors import check_range


@dataclass(frozen=True)
class Limit(CaptionFilter):
    """Keeps the first max_captions of what is left, in the file's order: no draw, so no seed.

    Attributes:
        max_captions: at least 1.
    """

    max_captions: int
    name: ClassVar[str] = "limit"

    def __post_init__(self) -> None:
        """Checks the bound."""
        where = "conf/params/curation/<name>.yaml"
        check_range("captions.max_captions", self.max_captions, 1, where=where)

    def score(self, captions: pd.DataFrame) -> pd.Series:
        """Gives each caption its place among those left, from 1."""
        return pd.Series(range(1, len(captions) + 1), index=captions.index, dtype="int64")

    def fault(self, score: float) -> str | None:
        """Returns `over_max_captions` behind the cut."""
        return "over_max_captions" if score > self.max_captions else None
