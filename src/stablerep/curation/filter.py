"""What stands in the list of filters: filters that drop captions, rewriters that change their text.

A filter computes a score for every caption first and applies its threshold second, so that the two can be
looked at apart; the score is kept beside the caption. It answers keep (null) or the reason to drop, which
states the fault. A rewriter drops none.

One new filter is one file in this folder and one entry in `conf/params/curation/*.yaml`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import polars as pl

# Reads what is left so far, in batches, as often as it is called.
Batches = Callable[[], Iterator[pl.DataFrame]]


class CaptionFilter(ABC):
    """Keeps or drops captions.

    Attributes:
        name: stands in the rejects' column `filter`; no two filters of a list have the same.
        obeys_people: whether a caption that people said to keep (`caption_edits.csv`) stays all the same.
    """

    name: ClassVar[str]
    obeys_people: ClassVar[bool] = True

    @abstractmethod
    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Scores the captions of a batch that are left; no threshold yet.

        Args:
            captions: columns row (Int64), caption_id, text, source, licence (String), line (Int64), in the
                files' order. The id is there behind the last rewriter only.

        Returns:
            One number a caption, in their order.
        """

    @abstractmethod
    def fault(self, score: pl.Expr) -> pl.Expr:
        """Applies the threshold: null to keep, or the reason to drop, such as `too_few_words`."""


class CorpusFilter(CaptionFilter):
    """A filter that must have seen every caption that is left before it scores one.

    It stands behind the last rewriter, for it knows captions by their ids.
    """

    @abstractmethod
    def survey(self, batches: Batches, folder: Path) -> CaptionFilter:
        """Looks at all captions.

        Args:
            batches: reads them, with `place` (Int64, from 0) besides the columns of `score`.
            folder: an empty one, for what memory should not hold; removed after the filter.

        Returns:
            A filter of the same name, which is given the same batches in the same order.
        """

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Raises TypeError: only what `survey` returns can score."""
        raise TypeError(f"{type(self).__name__}: survey the captions first.")


class CaptionRewriter(ABC):
    """Rewrites texts and drops none."""

    @abstractmethod
    def rewrite(self, texts: pl.Series) -> pl.Series:
        """Returns the new texts; rewriting them again changes nothing."""


def reason_where(condition: pl.Expr, reason: str) -> pl.Expr:
    """Returns the reason where the condition holds, null elsewhere."""
    return pl.when(condition).then(pl.lit(reason)).otherwise(pl.lit(None, pl.String))
