"""Runs the caption filters in their configured order; what is dropped keeps its reason.

A filter computes a score for every caption first and applies its threshold second, so that the two can
be looked at apart. It answers keep (None) or the reason to drop, which states the fault. A rewriter
changes texts and drops none. Kept and rejected captions together are the captions read, always.

One new filter is one file in this folder and one entry in `conf/params/curation/*.yaml`.
"""

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import pandas as pd

from stablerep.errors import ConfigError, DataError
from stablerep.records import caption_id_of

logger = logging.getLogger(__name__)

KEPT_COLUMNS = ["caption_id", "text", "source", "licence", "line"]
REJECTED_COLUMNS = [*KEPT_COLUMNS, "filter", "reason"]


class CaptionFilter(ABC):
    """Keeps or drops captions.

    Attributes:
        name: stands in the rejects' column `filter`.
    """

    name: ClassVar[str]

    @abstractmethod
    def score(self, captions: pd.DataFrame) -> pd.Series:
        """Scores the captions that are left; no threshold yet.

        Args:
            captions: columns caption_id, text, source, licence, line, in the file's order.

        Returns:
            One number a caption, on the same index.
        """

    @abstractmethod
    def fault(self, score: float) -> str | None:
        """Applies the threshold: None to keep, or the reason to drop, such as `too_few_words`."""


class CaptionRewriter(ABC):
    """Rewrites texts and drops none."""

    @abstractmethod
    def rewrite(self, text: str) -> str:
        """Returns the new text; rewriting it again changes nothing."""


def run_filters(
    frame: pd.DataFrame, filters: Sequence[CaptionFilter | CaptionRewriter]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs every filter over what the ones before it kept.

    Args:
        frame: columns caption, source, licence, line, as `read_captions` gives them; left as it is.
        filters: in the order in which they run.

    Returns:
        kept, with the columns caption_id, text, source, licence, line; and rejected, with filter and
        reason besides. Both in the order of the input; their rows together are those of the input.

    Raises:
        ConfigError: an entry is neither filter nor rewriter.
        DataError: no caption is left.
    """
    captions = _with_ids(frame.rename(columns={"caption": "text"}).reset_index(drop=True))
    parts = []
    for step in filters:
        if isinstance(step, CaptionRewriter):
            captions = _with_ids(captions.assign(text=captions["text"].map(step.rewrite)))
        elif isinstance(step, CaptionFilter):
            captions, dropped = _apply(step, captions)
            parts.append(dropped)
        else:
            raise ConfigError(
                f"captions.filters: got {step!r}; must be a CaptionFilter or a CaptionRewriter of "
                "stablerep.curation.filters. Set it in conf/params/curation/<name>.yaml."
            )
    kept = captions[KEPT_COLUMNS].reset_index(drop=True)
    rejected = _collect(parts, captions)
    counts = Counter(zip(rejected["filter"], rejected["reason"], strict=True))
    for (filter_name, reason), count in counts.items():
        logger.info("filter %s dropped %d captions: %s", filter_name, count, reason)
    logger.info("%d of %d captions kept", len(kept), len(frame))
    if kept.empty:
        reasons = ", ".join(f"{reason} ({count})" for (_, reason), count in counts.items())
        raise DataError(
            f"captions: none of {len(frame)} is left after the filters: {reasons or 'none was read'}. "
            "Add captions, or loosen captions.filters in conf/params/curation/<name>.yaml."
        )
    return kept, rejected


def _with_ids(captions: pd.DataFrame) -> pd.DataFrame:
    return captions.assign(caption_id=captions["text"].map(caption_id_of).astype("str"))


def _apply(step: CaptionFilter, captions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    faults = [step.fault(score) for score in step.score(captions)]
    dropped = pd.Series([fault is not None for fault in faults], index=captions.index, dtype=bool)
    reasons = pd.Series(faults, index=captions.index, dtype="str")
    rejected = captions[dropped].assign(filter=step.name, reason=reasons[dropped])
    return captions[~dropped], rejected


def _collect(parts: list[pd.DataFrame], captions: pd.DataFrame) -> pd.DataFrame:
    """Joins the rejects in the input's order; the columns keep their types where there is none."""
    none = captions.iloc[:0].assign(filter="", reason="")
    whole = pd.concat([part for part in parts if len(part)] or [none]).sort_index()
    texts = {"filter": "str", "reason": "str"}
    return whole[REJECTED_COLUMNS].astype(texts).reset_index(drop=True)
