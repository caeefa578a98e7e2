"""A caption's id: a hash of its text."""

import hashlib
import re

CAPTION_ID_PATTERN = r"c-[0-9a-f]{16}"


def caption_id_of(text: str) -> str:
    """Returns the caption's id: a stable hash of its text, whitespace and case folded.

    Equal captions are one caption; an edited caption is a new one.
    """
    folded = " ".join(text.split()).casefold()
    return "c-" + hashlib.blake2b(folded.encode(), digest_size=8).hexdigest()


def is_caption_id(text: str) -> bool:
    """Returns whether a text has the form of a caption's id."""
    return re.fullmatch(CAPTION_ID_PATTERN, text) is not None
