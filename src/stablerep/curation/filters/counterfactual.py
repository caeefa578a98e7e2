"""Swaps terms of a group, so that captions say as often the one as the other: an optional mitigation of bias.

Source: counterfactual data augmentation, K. Lu et al., Gender bias in neural natural language processing,
arXiv:1807.11714. There both forms are kept; here each caption has one of them, drawn by a hash, so that the
number of captions stays what it was.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from stablerep.curation.filter import CaptionRewriter
from stablerep.curation.settings import WHERE
from stablerep.errors import ConfigError


@dataclass(frozen=True)
class SwapTerms(CaptionRewriter):
    """Rewrites each caption that holds a term into one of its forms, all as likely.

    The k-th form replaces every term by the one k places further in its row, around. A caption and its forms
    come out alike, whichever of them was read: so rewriting again changes nothing, and no order matters. Case
    of the first letter is kept.

    Attributes:
        rows: terms that take each other's places, such as [man, woman] and [he, she]; all of one length.
        seed: of the draws.
    """

    rows: list[list[str]]
    seed: int

    def __post_init__(self) -> None:
        """Checks the rows.

        Raises:
            ConfigError: they are of different lengths or below 2, or hold a term twice or none that is one
                word.
        """
        terms = [term for row in self.rows for term in row]
        sizes = {len(row) for row in self.rows}
        plain = all(re.fullmatch(r"\w+", term) and term == term.lower() for term in terms)
        if len(sizes) != 1 or min(sizes) < 2 or len(set(terms)) < len(terms) or not plain:
            raise ConfigError(
                f"curation.filters.SwapTerms.rows: got {self.rows!r}; must be rows of one length, two or "
                "more, of words "
                f"in small letters, none of them twice. Set it in {WHERE}."
            )

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        return {term: (row, place) for row, terms in enumerate(self.rows) for place, term in enumerate(terms)}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"\b(?:{'|'.join(map(re.escape, self._places))})\b", re.IGNORECASE)

    def rewrite(self, texts: pl.Series) -> pl.Series:
        """Returns the drawn forms."""
        held = texts.str.contains(rf"(?i)\b(?:{'|'.join(self._places)})\b").arg_true()
        return texts.scatter(held, [self._draw(text) for text in texts.gather(held).to_list()])

    def _draw(self, text: str) -> str:
        forms = sorted({self._shifted(text, by) for by in range(len(self.rows[0]))})
        # case and space must not matter, as they do not in a caption's id
        key = min(" ".join(form.split()).casefold() for form in forms)
        digest = hashlib.blake2b(f"{self.seed}:{key}".encode(), digest_size=8).digest()
        return forms[int.from_bytes(digest, "little") % len(forms)]

    def _shifted(self, text: str, by: int) -> str:
        def swap(match: re.Match[str]) -> str:
            word = match.group()
            place = self._places.get(word.lower())
            if place is None:  # a letter that lower() and the pattern see differently
                return word
            row = self.rows[place[0]]
            other = row[(place[1] + by) % len(row)]
            if word.isupper() and len(word) > 1:
                return other.upper()
            return other.capitalize() if word[0].isupper() else other

        return self._pattern.sub(swap, text)
