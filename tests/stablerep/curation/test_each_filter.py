"""Each filter: one kept, one rejected with its reason, the bound itself, the empty text."""

import pandas as pd
import pytest

from stablerep.curation.duplicates import Duplicates
from stablerep.curation.empty import Empty
from stablerep.curation.filters import CaptionFilter
from stablerep.curation.length import Length
from stablerep.curation.limit import Limit
from stablerep.errors import ConfigError
from stablerep.records import caption_id_of


def _faults(step: CaptionFilter, texts: list[str]) -> list[str | None]:
    captions = pd.DataFrame({"text": pd.Series(texts, dtype="str")})
    captions["caption_id"] = captions["text"].map(caption_id_of)
    captions.index += 10  # what earlier filters dropped leaves gaps
    scores = step.score(captions)
    assert scores.index.equals(captions.index)
    return [step.fault(score) for score in scores]


def _scores(step: CaptionFilter, texts: list[str]) -> list[float]:
    captions = pd.DataFrame({"text": pd.Series(texts, dtype="str")})
    return step.score(captions.assign(caption_id=captions["text"].map(caption_id_of))).tolist()


@pytest.mark.parametrize("text", ["a nine", ".", "🙂", "é"])
def test_empty_keeps_what_can_be_seen(text: str) -> None:
    assert _faults(Empty(), [text]) == [None]


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u200b", "\u00a0\u2003", "\u200d", "\x07"])
def test_empty_drops_what_cannot(text: str) -> None:
    assert _faults(Empty(), [text]) == ["empty_text"]


def test_empty_scores_visible_characters() -> None:
    assert _scores(Empty(), ["a b", "", "\u200bx"]) == [2, 0, 1]


def test_length_keeps_its_bounds_and_drops_what_is_beyond() -> None:
    step = Length(min_words=2, max_words=4)
    texts = ["", "a", "a b", "a b c", "a b c d", "a b c d e"]
    assert _faults(step, texts) == [
        "too_few_words",
        "too_few_words",
        None,
        None,
        None,
        "too_many_words",
    ]
    assert _scores(step, texts) == [0, 1, 2, 3, 4, 5]


def test_length_of_nothing_keeps_the_empty_text() -> None:
    assert _faults(Length(0, 0), ["", "a"]) == [None, "too_many_words"]


@pytest.mark.parametrize(("low", "high"), [(-1, 3), (4, 3)])
def test_length_refuses_bounds_that_hold_nothing(low: int, high: int) -> None:
    with pytest.raises(ConfigError, match=r"captions\.filters\.Length\.m.._words: got"):
        Length(low, high)


def test_duplicates_keeps_the_first_of_equal_captions() -> None:
    texts = ["a nine", "A  Nine", "a ten", "a nine", "a nine."]
    assert _faults(Duplicates(), texts) == [None, "exact_duplicate", None, "exact_duplicate", None]
    assert _scores(Duplicates(), texts) == [0, 1, 0, 2, 0]


def test_duplicates_takes_empty_texts_for_equal() -> None:
    assert _faults(Duplicates(), ["", " "]) == [None, "exact_duplicate"]


def test_limit_keeps_the_first_ones() -> None:
    assert _faults(Limit(2), ["b", "", "a"]) == [None, None, "over_max_captions"]
    assert _faults(Limit(3), ["b", "", "a"]) == [None, None, None]
    assert _scores(Limit(2), ["b", "", "a"]) == [1, 2, 3]


def test_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"captions\.max_captions: got 0; must be >= 1"):
        Limit(0)


def test_filters_score_no_captions_too() -> None:
    for step in (Empty(), Length(1, 2), Duplicates(), Limit(1)):
        assert _faults(step, []) == []
