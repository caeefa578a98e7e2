"""Finds captions that do not describe a digit scene, before real scenes are drawn of them.

What a caption leaves open is drawn at random, so a caption of something else would become a random digit, and
an arm would train on it without a warning.
"""

import logging
from collections.abc import Sequence

from stablerep.digit_scenes.grammar import VOCABULARIES, read_caption, tells_of_a_digit, unknown_words
from stablerep.errors import DataError

logger = logging.getLogger(__name__)

_NUM_SHOWN = 3


def check_captions_tell_of_digits(texts: Sequence[str]) -> None:
    """Raises DataError where some captions do not describe a digit scene.

    Args:
        texts: captions of which real scenes are needed.
    """
    foreign = [text for text in texts if not tells_of_a_digit(text)]
    if foreign:
        raise DataError(
            f"{len(foreign)} of {len(texts)} captions do not describe a digit scene ({_first(foreign)}); "
            "real scenes can be drawn only of captions that do. For captions of your own train all arms on "
            "generated images, as --params experiment=own_captions does."
        )


def warn_of_unknown_words(texts: Sequence[str]) -> None:
    """Logs a warning for words that the grammar does not know, with their captions' number.

    Args:
        texts: captions of which real scenes are drawn.
    """
    strange = [text for text in texts if unknown_words(text)]
    if strange:
        words = dict.fromkeys(word for text in strange for word in unknown_words(text))
        logger.warning(
            "real scenes: %d of %d captions have words that the grammar does not know (%s); the scenes show "
            "nothing of them",
            len(strange), len(texts), _first(list(words)),
        )  # fmt: skip


def attributes_named(texts: Sequence[str]) -> dict[str, list[int | None]]:
    """Returns for each attribute the value that each caption names, None for one that leaves it open.

    None throughout where some captions do not describe a digit scene: what words such as "one" or "two" mean
    there is not known.
    """
    if not all(map(tells_of_a_digit, texts)):
        return {name: [None] * len(texts) for name in VOCABULARIES}
    named = [read_caption(text).named() for text in texts]
    return {name: [values.get(name) for values in named] for name in VOCABULARIES}


def _first(texts: Sequence[str]) -> str:
    shown = ", ".join(repr(text) for text in texts[:_NUM_SHOWN])
    return shown if len(texts) <= _NUM_SHOWN else f"{shown}, ..."
