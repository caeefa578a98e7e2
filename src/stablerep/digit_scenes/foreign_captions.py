"""Notices captions that are not of this corpus, before real scenes are drawn of them.

What a caption leaves open is drawn at random, so a caption of something else would become a random digit, and
an arm would train on it without a word.
"""

import logging
from collections.abc import Sequence

from stablerep.digit_scenes.grammar import read_caption, tells_of_a_digit, unknown_words
from stablerep.errors import DataError

logger = logging.getLogger(__name__)

_NUM_SHOWN = 3


def check_captions_tell_of_digits(texts: Sequence[str]) -> None:
    """Logs a warning for words that the grammar does not know, with their captions' number.

    Args:
        texts: captions of which real scenes are wanted.

    Raises:
        DataError: some captions tell of no digit scene at all.
    """
    foreign = [text for text in texts if not tells_of_a_digit(text)]
    if foreign:
        raise DataError(
            f"arms with images real or drawn: got {len(foreign)} of {len(texts)} captions that tell of no "
            f"digit scene ({_first(foreign)}); must be captions of the digit scenes, for real scenes can be "
            "drawn of these alone. For captions of your own name arms with images: synthetic only, as "
            "--params experiment=own_captions does."
        )
    strange = [text for text in texts if unknown_words(text)]
    if strange:
        words = dict.fromkeys(word for text in strange for word in unknown_words(text))
        logger.warning(
            "real scenes: %d of %d captions have words that the grammar does not know (%s); the scenes show "
            "nothing of them",
            len(strange), len(texts), _first(list(words)),
        )  # fmt: skip


def digits_named(texts: Sequence[str]) -> list[int | None] | None:
    """Returns the digit that each caption names, None for one that leaves it open.

    None as a whole where some captions tell of no digit scene: what words such as "one" or "two" mean there
    is not known.
    """
    if not all(map(tells_of_a_digit, texts)):
        return None
    return [read_caption(text).digit for text in texts]


def _first(texts: Sequence[str]) -> str:
    shown = ", ".join(repr(text) for text in texts[:_NUM_SHOWN])
    return shown if len(texts) <= _NUM_SHOWN else f"{shown}, ..."
