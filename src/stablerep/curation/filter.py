"""The steps of curation: filters, which drop captions, and rewriters, which change their text.

A filter computes a score for every caption first and applies its threshold second, so that the two can be
looked at separately; the score is stored beside the caption. For each caption it returns null (keep) or the
reason to drop, which states the fault. A rewriter drops no caption.

The engine (`stablerep.curation.curate`) uses `Step` alone: it knows no filter by name or type. One new filter
is one file in `filters/` and one entry in `conf/params/curation/*.yaml`.

Legend: N captions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy.typing as npt
import polars as pl

# Reads the captions that are left so far, in batches; each call reads them again.
Batches = Callable[[], Iterator[pl.DataFrame]]


class Applied(NamedTuple):
    """A batch after a step.

    Attributes:
        captions: those that go on to the next step.
        rejected: those that do not, with `filter`, `reason` and `score` (Float64).
        num_replaced: captions that are rejected with their old text and go on with a new one.
    """

    captions: pl.DataFrame
    rejected: pl.DataFrame
    num_replaced: int = 0


class Balanced(NamedTuple):
    """What a filter that balances concepts did.

    Attributes:
        table: entry, before, after (Int64), one row per concept, the most frequent first.
        bound: captions of a concept that the filter aims to keep.
    """

    table: pl.DataFrame
    bound: float


class Step(ABC):
    """One entry in the list of filters.

    Attributes:
        name: the value of the rejects' column `filter`; unique in a list. Rewriters reject nothing and need
            none.
        rewrites: whether it changes texts, and with them the captions' ids. Such a step must stand before
            every step that surveys.
        surveys: whether it must see every caption that is left before it is applied to one.
    """

    name: ClassVar[str]
    rewrites: ClassVar[bool] = False
    surveys: ClassVar[bool] = False

    def survey(self, batches: Batches, folder: Path) -> "Step":
        """Reads all captions that are left; called once, before `apply`, if `surveys`.

        Args:
            batches: reads them, with the column `place` (Int64, from 0).
            folder: an empty folder for large intermediate results; removed after the step.

        Returns:
            The step to apply, of the same name. It gets the same batches in the same order.
        """
        del batches, folder
        return self

    @abstractmethod
    def apply(self, captions: pl.DataFrame) -> Applied:
        """Splits or rewrites a batch.

        Args:
            captions: columns row (Int64), text, source, licence (String), line (Int64) and protected
                (Boolean: people said to keep it), in the files' order. Behind the last rewriter also
                caption_id (String); in a survey's pass also place (Int64).
        """

    def balanced(self) -> Balanced | None:
        """Returns the concepts before and after; None for a step that does not balance concepts."""
        return None


class CaptionFilter(Step):
    """Keeps or drops captions.

    Attributes:
        obeys_people: whether a caption that people said to keep (`caption_edits.csv`) stays although the
            filter would drop it.
    """

    obeys_people: ClassVar[bool] = True

    @abstractmethod
    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Scores the captions of a batch; applies no threshold.

        Args:
            captions: as in `apply`.

        Returns:
            One number per caption, in their order.
        """

    @abstractmethod
    def fault(self, score: pl.Expr) -> pl.Expr:
        """Applies the threshold: null to keep, or the reason to drop, such as `too_few_words`."""

    def apply(self, captions: pl.DataFrame) -> Applied:
        """Adds the column `score.<name>` and splits off the captions that have a fault."""
        scores = self.score(captions).cast(pl.Float64).alias(f"score.{self.name}")
        faults = self.faults_of(scores)
        if self.obeys_people:
            faults = pl.DataFrame({"fault": faults, "protected": captions["protected"]}).select(
                pl.when("protected").then(None).otherwise("fault").alias("fault")
            )["fault"]
        return split_off(captions.with_columns(scores), self.name, faults, scores)

    def faults_of(self, scores: pl.Series) -> pl.Series:
        """Returns the fault that each score means, null for none."""
        return pl.DataFrame({"score": scores}).select(self.fault(pl.col("score")).alias("fault"))["fault"]


class CorpusFilter(CaptionFilter):
    """A filter that must have seen every caption that is left before it scores one.

    It stands behind the last rewriter, because it identifies captions by their ids.
    """

    surveys: ClassVar[bool] = True

    @abstractmethod
    def survey(self, batches: Batches, folder: Path) -> CaptionFilter:
        """Reads all captions that are left and returns the filter that can score them."""

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Raises TypeError: only what `survey` returns can score."""
        raise TypeError(f"{type(self).__name__}: survey the captions first.")


@dataclass(frozen=True)
class ScoredInSurvey(CaptionFilter):
    """A corpus filter whose survey has scored every caption already.

    Attributes:
        surveyed: the filter; its name, threshold and `obeys_people` hold.
        scores: (N,), by place.
    """

    surveyed: CorpusFilter
    scores: npt.NDArray[Any]

    @property
    def name(self) -> str:  # type: ignore[override]
        """The surveyed filter's name."""
        return self.surveyed.name

    @property
    def obeys_people(self) -> bool:  # type: ignore[override]
        """As in the surveyed filter."""
        return self.surveyed.obeys_people

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Looks the scores up by place."""
        return pl.Series(self.scores[captions["place"].to_numpy()])

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Applies the surveyed filter's threshold."""
        return self.surveyed.fault(score)


class CaptionRewriter(Step):
    """Rewrites texts and drops none."""

    rewrites: ClassVar[bool] = True

    @abstractmethod
    def rewrite(self, texts: pl.Series) -> pl.Series:
        """Returns the new texts; rewriting them again changes nothing."""

    def apply(self, captions: pl.DataFrame) -> Applied:
        """Replaces the texts of a batch."""
        rewritten = captions.with_columns(self.rewrite(captions["text"]).alias("text"))
        return Applied(rewritten, captions.clear())


def reason_where(condition: pl.Expr, reason: str) -> pl.Expr:
    """Returns the reason where the condition holds, null elsewhere."""
    return pl.when(condition).then(pl.lit(reason)).otherwise(pl.lit(None, pl.String))


def reason_from(score: pl.Expr, bound: float, reason: str) -> pl.Expr:
    """Returns the reason where a score that was computed as float32 is at least the bound.

    Compared as float32, as in the survey: float32(0.9) is below 0.9, so that as float64 the caption would
    stay.
    """
    return reason_where(score.cast(pl.Float32) >= pl.lit(bound, pl.Float32), reason)


def split_off(captions: pl.DataFrame, name: str, faults: pl.Series, scores: pl.Series | None) -> Applied:
    """Splits a batch into captions without and with a fault.

    Args:
        captions: the batch.
        name: the value of the rejects' column `filter`.
        faults: of each caption, null for none.
        scores: likewise; None where there are none.
    """
    faulty = faults.is_not_null()
    if not faulty.any():
        return Applied(captions, captions.clear())
    marked = captions.with_columns(
        pl.lit(name).alias("filter"),
        faults.alias("reason"),
        (pl.lit(None) if scores is None else scores).cast(pl.Float64).alias("score"),
    )
    return Applied(captions.filter(~faulty), marked.filter(faulty))
