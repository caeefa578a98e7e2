"""The record that flows from the captions file to the image set."""

import hashlib
from dataclasses import dataclass

CAPTION_ID_PREFIX = "c-"


def caption_id_of(text: str) -> str:
    """Returns the caption's id: a stable hash of its text, whitespace and case folded.

    Equal captions are one caption; an edited caption is a new one.
    """
    folded = " ".join(text.split()).casefold()
    return CAPTION_ID_PREFIX + hashlib.blake2b(folded.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Caption:
    """One caption and where it came from.

    Attributes:
        caption_id: see `caption_id_of`.
        text: what the generator is told.
        source: the corpus or the person it came from.
        licence: the terms of use, an SPDX identifier where there is one.
        line: line in the captions file, 2 for the first row under the header.
    """

    caption_id: str
    text: str
    source: str
    licence: str
    line: int

    @classmethod
    def of_text(
        cls, text: str, source: str = "unknown", licence: str = "unknown", line: int = 0
    ) -> "Caption":
        """Makes the record of a text, the id derived from it."""
        return cls(caption_id_of(text), text, source, licence, line)
