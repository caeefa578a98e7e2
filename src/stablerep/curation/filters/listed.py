"""Filters by lists of words: what must not be in a caption, and what must."""

import re
from dataclasses import dataclass

import polars as pl

from stablerep.curation.filter import CaptionFilter, reason_where
from stablerep.curation.settings import WHERE
from stablerep.curation.words import WordList
from stablerep.errors import ConfigError, check_range

_LABEL = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class BlockList(CaptionFilter):
    """Drops captions that hold more than max_entries of a list's entries; the score is their number.

    Attributes:
        words: the list.
        label: what the list is of, such as `boilerplate`; names the filter and its reason.
        max_entries: at least 0; the bound itself is kept.
    """

    words: WordList
    label: str
    max_entries: int = 0

    def __post_init__(self) -> None:
        """Checks label and bound."""
        if not _LABEL.fullmatch(self.label):
            raise ConfigError(
                f"curation.filters.BlockList.label: got {self.label!r}; must be of small letters, numbers "
                f"and _. Set it in {WHERE}."
            )
        check_range("curation.filters.BlockList.max_entries", self.max_entries, 0, where=WHERE)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The list's own, for there may be several."""
        return f"block_list_{self.label}"

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Counts the different entries."""
        return self.words.counts(captions)

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `holds_<label>` above the bound."""
        return reason_where(score > self.max_entries, f"holds_{self.label}")


@dataclass(frozen=True)
class Concepts(CaptionFilter):
    """Keeps captions that name something to be seen, entries of a list; the score is their number.

    Attributes:
        concepts: the list.
        min_concepts: at least 1; the bound itself is kept.
    """

    concepts: WordList
    min_concepts: int = 1

    name = "concepts"

    def __post_init__(self) -> None:
        """Checks the bound."""
        check_range("curation.filters.Concepts.min_concepts", self.min_concepts, 1, where=WHERE)

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Counts the different concepts."""
        return self.concepts.counts(captions)

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `no_concept` below the bound."""
        return reason_where(score < self.min_concepts, "no_concept")
