"""Which terms captions name, how often, and which go together: coverage and bias as tables of their own.

A row a term and a row a pair of terms, so that a bound is one of Great Expectations' rules on a column, and
what breaks it is a row with a name. Linear in captions.
Legend: N captions, T terms, G groups of terms.
"""

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from stablerep.mutual_information import pmi_interval

_WORD = re.compile(r"\w+")
_EXAMPLE = ["caption_id", "text"]
TERM_COLUMNS = ["group", "term", "num_captions", "share", *_EXAMPLE]
PAIR_COLUMNS = [
    *["group", "term", "other_group", "other_term"],
    *["num_captions", "expected", "pmi_low", "pmi_high", *_EXAMPLE],
]


class NamedTerms:
    """The terms that captions name: whole words in their order, whatever their case.

    Args:
        captions: columns caption_id, text; a missing text names nothing.
        groups: group -> term -> the words that say so, such as `gender: {woman: [woman, women]}`.
    """

    def __init__(self, captions: pd.DataFrame, groups: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Reads the captions once."""
        from scipy.sparse import csr_array

        self._captions = captions
        self.keys = [(group, term) for group, terms in groups.items() for term in terms]
        self.groups = list(groups)
        found = _find(captions["text"], [words for terms in groups.values() for words in terms.values()])
        rows = np.repeat(np.arange(len(found)), [len(each) for each in found])
        columns = np.fromiter(itertools.chain.from_iterable(found), dtype=np.int64, count=len(rows))
        shape = (len(captions), len(self.keys))
        self._named_NT = csr_array((np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=shape)
        member_TG = np.zeros((len(self.keys), len(groups)), dtype=np.int64)
        for number, (group, _) in enumerate(self.keys):
            member_TG[number, self.groups.index(group)] = 1
        self._groups_NG = csr_array((self._named_NT @ csr_array(member_TG)) > 0).astype(np.int64)
        self._rows_of = self._named_NT.tocsc()
        self._rows_of.sort_indices()

    def num_groups(self) -> "pd.Series[int]":
        """Returns in how many groups each caption names a term."""
        counts = np.asarray(self._groups_NG.sum(axis=1)).reshape(-1)
        return pd.Series(counts, index=self._captions.index, dtype="int64")

    def terms(self) -> pd.DataFrame:
        """Returns a row a term, with `TERM_COLUMNS`.

        `share` is of the captions that name a term of the group, missing where none does; caption_id and
        text are the first one's, missing where there is none.
        """
        counts_T = np.asarray(self._named_NT.sum(axis=0)).reshape(-1)
        counts_G = np.asarray(self._groups_NG.sum(axis=0)).reshape(-1)
        rows = []
        for number, (group, term) in enumerate(self.keys):
            count, of = int(counts_T[number]), int(counts_G[self.groups.index(group)])
            share = count / of if of else None
            rows.append([group, term, count, share, *self._example(self._rows(number))])
        return pd.DataFrame(rows, columns=TERM_COLUMNS).astype({"num_captions": "int64", "share": "float64"})

    def pairs(self) -> pd.DataFrame:
        """Returns a row a pair of terms of two groups that captions with both groups name, `PAIR_COLUMNS`.

        `num_captions` name both; `expected` would if they were independent among the captions that name both
        groups. `pmi_low` and `pmi_high` bound the pointwise mutual information, log2 of the one over the
        other, by the 95 % interval of `pmi_interval`; pmi_low is missing where no caption
        names both. caption_id and text are the first one's.
        """
        both_TT = (self._named_NT.T @ self._named_NT).toarray()
        with_TG = (self._named_NT.T @ self._groups_NG).toarray()
        both_GG = (self._groups_NG.T @ self._groups_NG).toarray()
        rows = []
        for (a, (group, term)), (b, (other, other_term)) in itertools.combinations(enumerate(self.keys), 2):
            g, h = self.groups.index(group), self.groups.index(other)
            margins = int(with_TG[a, h]) * int(with_TG[b, g])
            if g != h and margins:
                expected, count = margins / both_GG[g, h], int(both_TT[a, b])
                shared = np.intersect1d(self._rows(a), self._rows(b), assume_unique=True)
                _, *bounds = pmi_interval(int(with_TG[a, h]), int(with_TG[b, g]), count, int(both_GG[g, h]))
                rows.append(
                    [group, term, other, other_term, count, expected, *bounds, *self._example(shared)]
                )
        numbers = {
            "num_captions": "int64",
            "expected": "float64",
            "pmi_low": "float64",
            "pmi_high": "float64",
        }
        return pd.DataFrame(rows, columns=PAIR_COLUMNS).astype(numbers)

    def _rows(self, number: int) -> np.ndarray:
        """Returns the positions of the captions that name a term, in their order."""
        start, stop = self._rows_of.indptr[number : number + 2]
        return self._rows_of.indices[start:stop]

    def _example(self, rows: np.ndarray) -> list[object]:
        if not len(rows):
            return [None, None]
        return [self._captions[name].iloc[int(rows[0])] for name in _EXAMPLE]


def _find(texts: "pd.Series[str]", wordings: Sequence[Sequence[str]]) -> list[set[int]]:
    """Returns the numbers of the terms that each text names; as slow for a thousand terms as for one.

    Args:
        texts: of the captions.
        wordings: what says each term.
    """
    numbers: dict[tuple[str, ...], list[int]] = {}
    for number, wording in enumerate(wordings):
        for each in wording:
            numbers.setdefault(_words(each), []).append(number)
    lengths = sorted({len(words) for words in numbers})
    found = []
    for text in texts:
        words = _words(text) if isinstance(text, str) else ()
        starts = ((start, length) for length in lengths for start in range(len(words) - length + 1))
        hits = (numbers.get(words[start : start + length], ()) for start, length in starts)
        found.append(set(itertools.chain.from_iterable(hits)))
    return found


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.casefold()))
