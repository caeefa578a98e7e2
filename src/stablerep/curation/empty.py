"""Drops captions in which there is nothing to read."""

import unicodedata
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from stablerep.curation.filters import CaptionFilter


def _num_visible(text: str) -> int:
    # general categories C (control, format, unassigned) and Z (separators) show nothing
    return sum(unicodedata.category(character)[0] not in "CZ" for character in text)


@dataclass(frozen=True)
class Empty(CaptionFilter):
    """Drops captions without a visible character; the score is their number."""

    name: ClassVar[str] = "empty"

    def score(self, captions: pd.DataFrame) -> pd.Series:
        """Counts visible characters."""
        return captions["text"].map(_num_visible).astype("int64")

    def fault(self, score: float) -> str | None:
        """Returns `empty_text` for none."""
        return "empty_text" if score < 1 else None
