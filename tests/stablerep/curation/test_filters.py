"""Kept and rejected are what was read; scores come before thresholds."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from stablerep.curation import run_filters
from stablerep.curation.duplicates import Duplicates
from stablerep.curation.empty import Empty
from stablerep.curation.filters import CaptionFilter, CaptionRewriter
from stablerep.curation.length import Length
from stablerep.curation.limit import Limit
from stablerep.curation.normalise import Normalise
from stablerep.errors import ConfigError, DataError
from stablerep.records import caption_id_of
from stablerep.validation.schemas import CuratedCaptions, RejectedCaptions

CHAIN = [Normalise(), Empty(), Length(2, 4), Duplicates()]


def frame_of(texts: list[str]) -> pd.DataFrame:
    """Returns the table that `read_captions` would give."""
    return pd.DataFrame(
        {
            "caption": pd.Series(texts, dtype="str"),
            "source": "test",
            "licence": "CC0-1.0",
            "line": range(2, len(texts) + 2),
        }
    )


def _random_texts(rng: np.random.Generator, num: int) -> list[str]:
    words = ["a", "A", "nine", "ten", "é", "e\u0301", "\u200b", "\u202e", "🙂", "", "  ", "\x07", "\n"]
    return [" ".join(rng.choice(words, size=rng.integers(0, 7))) for _ in range(num)]


def test_kept_and_rejected_have_their_columns_types_and_reasons() -> None:
    kept, rejected = run_filters(frame_of(["a nine", " A  NINE ", "", "nine", "a b c d e"]), CHAIN)
    CuratedCaptions.validate(kept)
    RejectedCaptions.validate(rejected)
    assert kept["text"].tolist() == ["a nine"]
    assert kept["line"].tolist() == [2]
    assert list(zip(rejected["line"], rejected["filter"], rejected["reason"], strict=True)) == [
        (3, "duplicates", "exact_duplicate"),
        (4, "empty", "empty_text"),
        (5, "length", "too_few_words"),
        (6, "length", "too_many_words"),
    ]
    assert rejected["caption_id"].tolist() == rejected["text"].map(caption_id_of).tolist()


def test_tables_have_their_types_where_nothing_is_rejected() -> None:
    kept, rejected = run_filters(frame_of(["a nine"]), CHAIN)
    assert len(rejected) == 0
    RejectedCaptions.validate(rejected)
    CuratedCaptions.validate(kept)


def test_no_filters_keep_everything_in_order() -> None:
    kept, rejected = run_filters(frame_of(["b", "a", ""]), [])
    assert kept["text"].tolist() == ["b", "a", ""]
    assert rejected.empty


@pytest.mark.parametrize("seed", range(5))
def test_kept_and_rejected_together_are_what_was_read(seed: int) -> None:
    frame = frame_of(_random_texts(np.random.default_rng(seed), 300))
    kept, rejected = run_filters(frame, [*CHAIN, Limit(20)])
    lines = sorted([*kept["line"], *rejected["line"]])
    assert lines == frame["line"].tolist()
    assert kept["line"].is_monotonic_increasing
    assert rejected["line"].is_monotonic_increasing
    assert set(rejected["filter"]) == {"empty", "length", "duplicates", "limit"}
    CuratedCaptions.validate(kept)
    RejectedCaptions.validate(rejected)


@pytest.mark.parametrize("seed", range(5))
def test_curating_again_changes_nothing(seed: int) -> None:
    kept, _ = run_filters(frame_of(_random_texts(np.random.default_rng(seed), 300)), CHAIN)
    again, rejected = run_filters(kept.rename(columns={"text": "caption"}), CHAIN)
    pd.testing.assert_frame_equal(again, kept)
    assert rejected.empty


@pytest.mark.parametrize("seed", range(5))
def test_the_set_kept_does_not_depend_on_the_rows_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = frame_of(_random_texts(rng, 300))
    shuffled = frame.sample(frac=1, random_state=seed)
    first, second = (run_filters(each, CHAIN)[0] for each in (frame, shuffled))
    assert set(first["caption_id"]) == set(second["caption_id"])


def test_the_input_is_left_as_it_is() -> None:
    frame = frame_of([" a  nine ", ""])
    before = frame.copy()
    run_filters(frame, CHAIN)
    pd.testing.assert_frame_equal(frame, before)


def test_an_index_of_the_caller_does_not_matter() -> None:
    frame = frame_of(["a nine", "", "a ten"])
    frame.index = pd.Index([7, 7, 7])
    kept, rejected = run_filters(frame, CHAIN)
    assert (len(kept), len(rejected)) == (2, 1)


def test_later_filters_see_only_what_is_left_and_as_it_was_rewritten() -> None:
    seen: list[list[str]] = []

    @dataclass(frozen=True)
    class Spy(CaptionFilter):
        name: ClassVar[str] = "spy"

        def score(self, captions: pd.DataFrame) -> pd.Series:
            seen.append(captions["text"].tolist())
            return pd.Series(0, index=captions.index)

        def fault(self, score: float) -> str | None:
            return None

    class Shout(CaptionRewriter):
        def rewrite(self, text: str) -> str:
            return text.upper()

    run_filters(frame_of(["a", "a nine"]), [Length(2, 4), Shout(), Spy()])
    assert seen == [["A NINE"]]


def test_nothing_left_is_an_error_with_the_reasons() -> None:
    with pytest.raises(DataError) as caught:
        run_filters(frame_of(["", "nine", "ten"]), CHAIN)
    message = str(caught.value)
    assert "none of 3 is left" in message
    assert "empty_text (1)" in message
    assert "too_few_words (2)" in message
    with pytest.raises(DataError, match="none was read"):
        run_filters(frame_of([]), CHAIN)


def test_what_is_no_filter_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"captions\.filters: got 'empty'; must be"):
        run_filters(frame_of(["a nine"]), ["empty"])  # type: ignore[list-item]


def test_reasons_are_counted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        run_filters(frame_of(["a nine", "nine", "ten"]), CHAIN)
    assert "filter length dropped 2 captions: too_few_words" in caplog.text
    assert "1 of 3 captions kept" in caplog.text
