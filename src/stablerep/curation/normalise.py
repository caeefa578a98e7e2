"""Brings texts into one form, so that what looks alike is alike."""

import unicodedata
from dataclasses import dataclass

from stablerep.curation.filters import CaptionRewriter

# Join letters and emoji, so they carry meaning: https://www.unicode.org/reports/tr51/#Emoji_ZWJ_Sequences
# and the Unicode Standard, section 23.2. Every other invisible format character goes.
_JOINERS = "\u200c\u200d"
# Control, format, surrogate and unassigned-for-interchange code points.
_INVISIBLE = ("Cc", "Cf", "Cs")


def is_invisible(character: str) -> bool:
    """Tells whether a character neither shows nor separates words, joiners apart."""
    if character.isspace() or character in _JOINERS:
        return False
    return unicodedata.category(character) in _INVISIBLE


@dataclass(frozen=True)
class Normalise(CaptionRewriter):
    """Takes out control and format characters, composes Unicode (NFC), folds whitespace to one space.

    Case and punctuation stay: text encoders read them.
    """

    def rewrite(self, text: str) -> str:
        """Returns the text in its one form."""
        # the invisible ones first: a letter and its accent compose only where they touch
        if not text.isascii() or not text.isprintable():
            text = "".join(character for character in text if not is_invisible(character))
        return " ".join(unicodedata.normalize("NFC", text).split())
