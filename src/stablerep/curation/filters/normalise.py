"""Brings texts into one form, so that what looks alike is alike."""

import html
import re
import unicodedata
from dataclasses import dataclass

import polars as pl

from stablerep.curation.filter import CaptionRewriter

# Join letters and emoji, so they carry meaning: https://www.unicode.org/reports/tr51/#Emoji_ZWJ_Sequences
# and the Unicode Standard, section 23.2. Every other invisible format character goes.
_JOINERS = "\u200c\u200d"
# Control, format, surrogate and unassigned-for-interchange code points.
_INVISIBLE = ("Cc", "Cf", "Cs")
# What is not this is looked at character by character.
_PLAIN = r"^[\x20-\x25\x27-\x3b\x3d-\x7e]*$"  # ASCII that prints, without & and <
# CC3M and CC12M write so what was a name: https://github.com/google-research-datasets/conceptual-12m
_PERSON = re.compile(r"<person>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_MAX_ROUNDS = 8  # of entities inside of entities (&amp;amp;); people write two


def is_invisible(character: str) -> bool:
    """Tells whether a character neither shows nor separates words, joiners apart."""
    if character.isspace() or character in _JOINERS:
        return False
    return unicodedata.category(character) in _INVISIBLE


@dataclass(frozen=True)
class Normalise(CaptionRewriter):
    """Resolves HTML's entities, takes out tags and invisible characters, composes Unicode, folds spaces.

    `<PERSON>`, which stands for a name in CC3M and CC12M, becomes a word. Case and punctuation stay: text
    encoders read them. Unicode is composed as NFC has it.

    Attributes:
        person: the word.
    """

    person: str = "person"

    def rewrite(self, texts: pl.Series) -> pl.Series:
        """Returns the texts in their one form."""
        plain = texts.str.contains(_PLAIN)
        fold = pl.col("text").str.replace_all(" +", " ").str.strip_chars(" ")
        done = pl.DataFrame({"text": texts}).select(fold).to_series()
        if plain.all():
            return done
        odd = (~plain).arg_true()
        rewritten = [self.rewrite_one(text) for text in texts.gather(odd).to_list()]
        return done.scatter(odd, rewritten)

    def rewrite_one(self, text: str) -> str:
        """Returns one text in its one form."""
        text = _compose(text)
        for _ in range(_MAX_ROUNDS):
            if "&" not in text and "<" not in text:
                return text
            without = _TAG.sub(" ", _PERSON.sub(f" {self.person} ", text))
            resolved = _compose(html.unescape(without))
            if resolved == text:
                return text
            text = resolved
        # deeper than anyone writes by accident: the form must be final, so the signs go
        return _compose(re.sub("[&<>]", " ", text))


def _compose(text: str) -> str:
    # the invisible ones first: a letter and its accent compose only where they touch
    if not text.isascii() or not text.isprintable():
        text = "".join(character for character in text if not is_invisible(character))
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())
