"""Measures each caption; what is to be done about it is the caption gate's rules.

Stores what was found, applies no threshold, in the way of cleanvision's image properties.
"""

from collections.abc import Iterable

import pandas as pd


def fold(texts: "pd.Series[str]") -> "pd.Series[str]":
    """Returns texts without case, punctuation and symbols: captions that share it say the same."""
    return texts.str.casefold().str.replace(r"[\W_]+", " ", regex=True).str.strip()


def measure_captions(frame: pd.DataFrame, evaluation_texts: Iterable[str]) -> pd.DataFrame:
    """Returns the captions with what rules may be about.

    Args:
        frame: columns caption_id, text; any others stay.
        evaluation_texts: captions of the evaluation set.

    Returns:
        The same rows with `num_words`; `repeat_of`, the id of the first caption that says the same but for
        case and punctuation; `evaluation_text`, the text where the evaluation set says the same. The two are
        missing elsewhere, and all three where the text is.
    """
    texts = frame["text"]
    folded = fold(texts)
    first = frame["caption_id"].groupby(folded).transform("first")
    return frame.assign(
        num_words=texts.str.split().map(len, na_action="ignore"),
        # the first of them is no repetition, though others may have its very id
        repeat_of=first.where(folded.duplicated() & folded.notna()),
        evaluation_text=in_evaluation_set(texts, evaluation_texts),
    )


def in_evaluation_set(texts: "pd.Series[str]", evaluation_texts: Iterable[str]) -> "pd.Series[str]":
    """Returns the texts that the evaluation set has too, but for case and punctuation; the others missing."""
    held_out = set(fold(pd.Series(list(evaluation_texts), dtype="str")))
    folded = fold(texts)
    return texts.where(folded.isin(held_out) & folded.notna())
