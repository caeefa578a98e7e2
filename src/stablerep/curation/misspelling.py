"""Finds misspelt words of a list: those that are one letter away from an entry.

Source: words with one letter left out as keys, as in W. Garbe, SymSpell, 2012
(github.com/wolfgarbe/SymSpell). A word that is one token to CLIP's tokenizer is frequent on the web and so is
not taken for a misspelling: "having" is no "shaving".
"""

from collections.abc import Iterable
from functools import cached_property

from stablerep.curation.clip_tokenizer import clip_tokenizer

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MIN_LETTERS = 5  # of a misspelt word: shorter ones are one letter away from too many others


class Misspellings:
    """Words that may be misspelt entries of a list.

    Args:
        words: the list's, folded; those of several words or of fewer than four letters are left out.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words = {word for word in words if " " not in word and len(word) >= _MIN_LETTERS - 1}

    @cached_property
    def _shortened(self) -> set[str]:
        return {each for word in self._words for each in _without_a_letter(word)}

    def is_one(self, word: str) -> bool:
        """Returns whether a folded word is rare and differs by one letter from a word of the list."""
        if len(word) < _MIN_LETTERS or len(clip_tokenizer().encode(word, add_special_tokens=False).ids) == 1:
            return False
        if word in self._shortened:
            return True
        shorter = _without_a_letter(word)
        return any(each in self._words for each in shorter) or any(
            word[place] != other and word[:place] + other + word[place + 1 :] in self._words
            for place, short in enumerate(shorter)
            if short in self._shortened
            for other in _LETTERS
        )


def _without_a_letter(word: str) -> list[str]:
    return [word[:place] + word[place + 1 :] for place in range(len(word))]
