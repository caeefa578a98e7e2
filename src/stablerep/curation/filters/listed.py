"""Filters by lists of words: what must not be in a caption, and what must."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from stablerep.curation.filter import CaptionFilter, reason_where
from stablerep.curation.folding import fold, folded
from stablerep.curation.misspelling import Misspellings
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
        except_after: an entry that follows one of these is part of a sentence and does not count: with `a`,
            `photo gallery` in "pictures in a photo gallery".
    """

    words: WordList
    label: str
    max_entries: int = 0
    except_after: Sequence[str] = ()

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
        if not self.except_after:
            return self.words.counts(captions)
        text = folded().str.replace_many(self._excepted, [" "], leftmost=True)
        return self.words.counts(captions.with_columns(text.alias("text")))

    @cached_property
    def _excepted(self) -> list[str]:
        return [
            f" {word} {form} " for word in fold(self.except_after) for form in self.words.entries_of_forms
        ]

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `holds_<label>` above the bound."""
        return reason_where(score > self.max_entries, f"holds_{self.label}")


@dataclass(frozen=True)
class Concepts(CaptionFilter):
    """Keeps captions that name something to be seen, entries of a list; the score is their number.

    Attributes:
        concepts: the list.
        min_concepts: at least 1; the bound itself is kept.
        misspelt: whether a caption without an entry is searched for misspelt ones ("two german sheperds").
    """

    concepts: WordList
    min_concepts: int = 1
    misspelt: bool = False

    name = "concepts"

    def __post_init__(self) -> None:
        """Checks the bound."""
        check_range("curation.filters.Concepts.min_concepts", self.min_concepts, 1, where=WHERE)

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Counts the different concepts."""
        counts = self.concepts.counts(captions)
        if not self.misspelt:
            return counts
        bare = (counts == 0).arg_true()
        words = [text.split() for text in fold(captions["text"].gather(bare))]
        return counts.scatter(bare, [len(set(filter(self._misspellings.is_one, each))) for each in words])

    @cached_property
    def _misspellings(self) -> Misspellings:
        return Misspellings(self.concepts.entries_of_forms)

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `no_concept` below the bound."""
        return reason_where(score < self.min_concepts, "no_concept")
