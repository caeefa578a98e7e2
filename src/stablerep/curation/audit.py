"""Audits for bias: which terms captions hold, and which stand together more or less often than chance has it.

Pointwise mutual information over groups of terms as in O. Aka et al., Measuring model biases in the absence
of ground truth, arXiv:2103.03417.
Legend: N captions or images, T terms, G groups of terms.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from stablerep.curation.folding import fold
from stablerep.curation.settings import AuditSettings
from stablerep.curation.words import WordList
from stablerep.mutual_information import pmi_interval

BALANCED, SKEWED, UNCLEAR, TOO_FEW = "balanced", "skewed", "unclear", "too_few"
PAIR_COLUMNS = (
    *("group_a", "term_a", "group_b", "term_b", "num_a", "num_b", "num_both"),
    *("pmi", "low", "high", "verdict"),
)
# of a table without rows, too
PAIR_TYPES = dict(zip(PAIR_COLUMNS, ["str"] * 4 + ["int64"] * 3 + ["float64"] * 3 + ["str"], strict=True))


@dataclass(frozen=True)
class _Words(WordList):
    words: tuple[str, ...]

    def _read(self) -> list[tuple[str, list[str]]]:
        return [(word, []) for word in self.words]


@dataclass(frozen=True)
class AuditCounts:
    """How often terms and groups, and pairs of them, occur; those of two batches add up.

    Attributes:
        num: N.
        both: (T + G, T + G) int64, the terms first; the diagonal counts single ones.
    """

    num: int
    both: npt.NDArray[np.int64]

    def __add__(self, other: "AuditCounts") -> "AuditCounts":
        return AuditCounts(self.num + other.num, self.both + other.both)


@dataclass(frozen=True)
class Audit:
    """Counts terms in captions and judges their pairs.

    Attributes:
        settings: groups, pairs and bounds.
    """

    settings: AuditSettings

    @cached_property
    def terms(self) -> list[tuple[str, str]]:
        """(group, term) in the order of the counts, T of them."""
        return [(group, term) for group, terms in self.settings.groups.items() for term in terms]

    @cached_property
    def _terms_of_words(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, (group, term) in enumerate(self.terms):
            for word in fold(self.settings.groups[group][term]):
                found.setdefault(word, []).append(place)
        return found

    @cached_property
    def _words(self) -> WordList:
        return _Words(tuple(self._terms_of_words))

    def nothing(self) -> AuditCounts:
        """Returns the counts of no captions."""
        num = len(self.terms) + len(self.settings.groups)
        return AuditCounts(0, np.zeros((num, num), dtype=np.int64))

    def holds(self, captions: pl.DataFrame) -> npt.NDArray[np.bool_]:
        """Tells which terms captions hold, as whole words.

        Args:
            captions: with `text`.

        Returns:
            (N, T).
        """
        table = np.zeros((len(captions), len(self.terms)), dtype=bool)
        if not self.terms:
            return table
        found = self._words.matches(captions)
        places = found["place"].to_numpy()
        for word, terms in self._terms_of_words.items():
            rows = places[(found["entry"] == word).to_numpy()]
            for term in terms:
                table[rows, term] = True
        return table

    def count(self, captions: pl.DataFrame) -> AuditCounts:
        """Counts terms, groups and pairs in captions."""
        return self.count_held(self.holds(captions))

    def count_held(self, holds: npt.NDArray[np.bool_]) -> AuditCounts:
        """Counts an (N, T) table of who holds which term."""
        groups = [
            holds[:, [place for place, (name, _) in enumerate(self.terms) if name == group]].any(axis=1)
            for group in self.settings.groups
        ]
        # float32 sums of ones are exact below 2 ** 24, far above a batch
        table = np.column_stack([holds, *groups]).astype(np.float32)
        return AuditCounts(len(holds), (table.T @ table).astype(np.int64))

    def shares(self, counts: AuditCounts) -> pd.DataFrame:
        """Returns group, term, num, share (of all N)."""
        singles = np.diagonal(counts.both)[: len(self.terms)]
        shares = singles / max(counts.num, 1)
        groups, terms = zip(*self.terms, strict=True) if self.terms else ((), ())
        return pd.DataFrame({"group": groups, "term": terms, "num": singles, "share": shares})

    def verdicts(self, counts: AuditCounts) -> pd.DataFrame:
        """Judges every pair of terms of the paired groups, among the captions that name both groups.

        Among all captions any two groups that tend to be named together would seem skewed in all their terms.

        Returns:
            `PAIR_COLUMNS`: of the captions that name both groups how many hold the one term, the other, and
            both; PMI and its 95 % interval in bits. The verdict is `skewed` where the interval is
            beyond max_pmi on one side, `balanced` where it is within, `unclear` where it holds the bound, and
            `too_few` below min_expected.
        """
        places = {name: place for place, name in enumerate(self.terms)}
        groups = {group: len(self.terms) + place for place, group in enumerate(self.settings.groups)}
        rows = []
        for one, other in self.settings.pairs:
            for term_a, term_b in product(self.settings.groups[one], self.settings.groups[other]):
                a, b = places[one, term_a], places[other, term_b]
                g, h = groups[one], groups[other]
                num_a, num_b, num_both, num = (
                    int(counts.both[pair]) for pair in ((a, h), (b, g), (a, b), (g, h))
                )
                numbers = num_a, num_b, num_both
                pmi, low, high = pmi_interval(*numbers, num)
                verdict = self._verdict(numbers, num, low, high)
                rows.append((one, term_a, other, term_b, *numbers, pmi, low, high, verdict))
        return pd.DataFrame(rows, columns=list(PAIR_COLUMNS)).astype(PAIR_TYPES)

    def _verdict(self, numbers: tuple[int, int, int], num: int, low: float, high: float) -> str:
        if num == 0 or numbers[0] * numbers[1] / num < self.settings.min_expected:
            return TOO_FEW
        if low > self.settings.max_pmi or high < -self.settings.max_pmi:
            return SKEWED
        return BALANCED if -self.settings.max_pmi <= low and high <= self.settings.max_pmi else UNCLEAR
