"""Drops captions that came before: equal captions are one caption."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from stablerep.curation.filter import Batches, CaptionFilter, CorpusFilter, ScoredInSurvey, reason_where
from stablerep.curation.keys import equal_groups, numbers_of_ids


@dataclass(frozen=True)
class Duplicates(CorpusFilter):
    """Keeps the first of the captions that share an id, that is, a text but for case and whitespace.

    The score is the number of equal captions before it.
    """

    name: ClassVar[str] = "duplicates"
    obeys_people: ClassVar[bool] = False  # two rows with one id are one caption, whatever people say

    def survey(self, batches: Batches, folder: Path) -> CaptionFilter:
        """Counts the equal captions before each; holds four bytes per caption in memory."""
        path = folder / "ids"
        with path.open("wb") as file:
            for batch in batches():
                numbers_of_ids(batch["caption_id"]).tofile(file)
        before = np.zeros(path.stat().st_size // 8, dtype=np.uint32)
        for places, firsts in equal_groups(path):
            starts = np.flatnonzero(places == firsts)
            sizes = np.diff(np.r_[starts, len(places)])
            before[places] = np.arange(len(places)) - np.repeat(starts, sizes)
        return ScoredInSurvey(self, before)

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `exact_duplicate` for all but the first."""
        return reason_where(score > 0, "exact_duplicate")
