"""Kept and rejected are what was read; no order matters; curating again changes nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablerep.caption_ids import caption_id_of
from stablerep.curation.audit import Audit
from stablerep.curation.curate import KEPT_COLUMNS, REJECTED_COLUMNS, curate
from stablerep.curation.filter import Applied, Balanced, CaptionFilter, CaptionRewriter, Step, split_off
from stablerep.curation.filters.balance import Balance
from stablerep.curation.filters.counterfactual import SwapTerms
from stablerep.curation.filters.duplicates import Duplicates
from stablerep.curation.filters.empty import Empty
from stablerep.curation.filters.language import Language
from stablerep.curation.filters.length import Length
from stablerep.curation.filters.letters import Letters
from stablerep.curation.filters.limit import Limit
from stablerep.curation.filters.listed import BlockList, Concepts
from stablerep.curation.filters.near_duplicates import NearDuplicates
from stablerep.curation.filters.normalise import Normalise
from stablerep.curation.filters.patterns import MailAddresses, PhoneNumbers, Urls
from stablerep.curation.filters.readable import Readable
from stablerep.curation.people.edits import Edit, Edits
from stablerep.curation.people.takedowns import TakenDown
from stablerep.curation.settings import AuditSettings
from stablerep.curation.words import WordFile
from stablerep.errors import ConfigError, DataError
from stablerep.validation.schemas import CuratedCaptions, RejectedCaptions
from tests.stablerep.curation.corpus import batches_of, frame_of, run

WORDS = WordFile(str(Path(__file__).parents[3] / "conf/words/digit_scenes.txt"))
BLOCKED = WordFile(str(Path(__file__).parents[3] / "conf/words/boilerplate.txt"))
CHAIN: list[Step] = [Normalise(), Empty(), Length(2, 4), Duplicates()]
EVERY: list[Step] = [
    *(
        Readable(),
        Normalise(),
        SwapTerms([["teal", "navy"], ["white", "pink"]], seed=3),
        Empty(),
        Length(2, 30),
    ),
    *(
        Letters(0.5),
        Urls(),
        MailAddresses(),
        PhoneNumbers(),
        BlockList(BLOCKED, "blocked"),
        Language(min_margin=-0.8),
    ),
    *(Concepts(WORDS), Duplicates(), NearDuplicates(0.7)),
    Balance(WORDS, 3, seed=0),
]
_WORDS = st.sampled_from(
    [
        *(
            "a",
            "A",
            "nine",
            "Nine",
            "two",
            "teal",
            "navy",
            "Teal",
            "white",
            "of the wide",
            "behind a house",
            "",
        ),
        *("é", "e\u0301", "\u200b", "\u202e", "🙂", "  ", "\x07", "\x00", "\n", "\ufffd"),
        *("&amp;amp;", "<PERSON>", "x.com", "a@b.org"),
    ]
)
_TEXTS = st.lists(st.lists(_WORDS, max_size=9).map(" ".join), min_size=1, max_size=60)
_ALWAYS = "a nine on white"  # so that something is kept


def test_kept_and_rejected_have_their_columns_types_and_reasons() -> None:
    kept, rejected = run(frame_of(["a nine", " A  NINE ", "", "nine", "a b c d e"]), CHAIN, size=2)
    CuratedCaptions.validate(kept.select(KEPT_COLUMNS).to_pandas())
    RejectedCaptions.validate(rejected.select(REJECTED_COLUMNS).to_pandas())
    assert kept.select("text", "line").rows() == [("a nine", 2)]
    assert rejected.select("line", "filter", "reason", "score").rows() == [
        (3, "duplicates", "exact_duplicate", 1),
        (4, "empty", "empty_text", 0),
        (5, "length", "too_few_words", 1),
        (6, "length", "too_many_words", 5),
    ]
    assert rejected["caption_id"].to_list() == [caption_id_of(text) for text in rejected["text"]]


def test_the_scores_of_what_is_kept_are_kept() -> None:
    kept, _ = run(frame_of(["a nine", "a b c"]), CHAIN)
    assert kept.select("score.empty", "score.length", "score.duplicates").rows() == [(5, 2, 0), (3, 3, 0)]


def test_tables_have_their_types_where_nothing_is_rejected() -> None:
    kept, rejected = run(frame_of(["a nine"]), CHAIN)
    assert len(rejected) == 0
    RejectedCaptions.validate(rejected.select(REJECTED_COLUMNS).to_pandas().astype({"reason": "str"}))
    CuratedCaptions.validate(kept.select(KEPT_COLUMNS).to_pandas())


def test_no_filters_keep_everything_in_order() -> None:
    kept, rejected = run(frame_of(["b", "a", ""]), [], size=2)
    assert kept["text"].to_list() == ["b", "a", ""]
    assert rejected.is_empty()


def test_bad_records_are_rejected_by_the_reader() -> None:
    frame = frame_of(["a nine", "a,b", "a ten"]).with_columns(
        pl.Series("fault", [None, "wrong_number_of_fields", None], dtype=pl.String)
    )
    kept, rejected = run(frame, CHAIN)
    assert kept["text"].to_list() == ["a nine", "a ten"]
    assert rejected.select("text", "filter", "reason", "score").rows() == [
        ("a,b", "reading", "wrong_number_of_fields", None)
    ]


TAKEN, DROPPED, KEPT, REPLACED, NEW = (
    *("a nine on navy", "two teal nine", "a teal nine, see x.com", "a two on white"),
    "a nine behind a house on teal",
)


def taken_down() -> TakenDown:
    row = {"what": caption_id_of(TAKEN), "kind": "caption", "reason": "asked for", "date": "2026-01-31"}
    return TakenDown(pd.DataFrame([row | {"who": "a"}]))


def edits() -> Edits:
    return Edits(
        [
            Edit(2, DROPPED, "drop", "", "wrong", "b"),
            Edit(3, KEPT, "keep", "", "wanted", "b"),
            Edit(4, REPLACED, "replace", NEW, "better", "b"),
        ],
        Path("caption_edits.csv"),
    )


@settings(max_examples=25, deadline=None)
@given(_TEXTS, st.randoms(use_true_random=False), st.integers(1, 40))
def test_people_have_the_last_word_in_any_order(texts: list[str], random: object, size: int) -> None:
    # without the swaps of terms, which write other texts than a person edits
    steps = [each for each in EVERY if not isinstance(each, SwapTerms | Balance | NearDuplicates)]
    texts = [*texts, TAKEN, DROPPED, KEPT, REPLACED]
    shuffled = list(texts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    sets = []
    for each in (texts, shuffled):
        kept, rejected = run(frame_of(each), steps, size, takedowns=taken_down(), edits=edits())
        sets.append(set(kept["text"]))
        reasons = dict(zip(rejected["text"].to_list(), rejected["reason"].to_list(), strict=True))
        assert reasons[TAKEN] == "taken_down_asked_for"
        assert {reasons[DROPPED], reasons[REPLACED]} == {"dropped_wrong", "replaced_better"}
    assert sets[0] == sets[1]
    assert NEW in sets[0]
    assert not sets[0] & {TAKEN, DROPPED, REPLACED}
    again, rejected = run(frame_of(kept["text"].to_list()), steps)
    assert set(again["text"]) | {KEPT} == sets[0] | {KEPT}


@settings(max_examples=25, deadline=None)
@given(_TEXTS, st.integers(1, 40))
def test_kept_and_rejected_together_are_what_was_read(texts: list[str], size: int) -> None:
    frame = frame_of([*texts, _ALWAYS])
    kept, rejected = run(frame, [*EVERY, Limit(20)], size)
    assert sorted([*kept["row"], *rejected["row"]]) == list(range(len(frame)))
    assert kept["row"].is_sorted()
    assert rejected["reason"].null_count() == 0


@settings(max_examples=25, deadline=None)
@given(_TEXTS)
def test_curating_again_changes_nothing(texts: list[str]) -> None:
    kept, _ = run(frame_of([*texts, _ALWAYS]), EVERY)
    again, rejected = run(frame_of(kept["text"].to_list()), EVERY)
    assert rejected.is_empty()
    assert again["text"].to_list() == kept["text"].to_list()


@settings(max_examples=25, deadline=None)
@given(_TEXTS, st.randoms(use_true_random=False), st.integers(1, 40))
def test_the_set_kept_does_not_depend_on_the_rows_order(texts: list[str], random: object, size: int) -> None:
    texts = [*texts, _ALWAYS]
    shuffled = list(texts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = (run(frame_of(each), EVERY, size)[0] for each in (texts, shuffled))
    assert set(first["caption_id"]) == set(second["caption_id"])


def test_later_filters_see_only_what_is_left_and_as_it_was_rewritten() -> None:
    seen: list[list[str]] = []

    @dataclass(frozen=True)
    class Spy(CaptionFilter):
        name: ClassVar[str] = "spy"

        def score(self, captions: pl.DataFrame) -> pl.Series:
            seen.append(captions["text"].to_list())
            assert captions["caption_id"].to_list() == [caption_id_of(text) for text in seen[-1]]
            return pl.Series([0] * len(captions))

        def fault(self, score: pl.Expr) -> pl.Expr:
            return pl.lit(None, pl.String)

    class Shout(CaptionRewriter):
        def rewrite(self, texts: pl.Series) -> pl.Series:
            return texts.str.to_uppercase()

    run(frame_of(["a", "a nine"]), [Length(2, 4), Shout(), Spy()])
    assert seen == [["A NINE"]]


@pytest.mark.parametrize("steps", [CHAIN, [*CHAIN, NearDuplicates(), Limit(5)]])
def test_nothing_left_is_an_error_with_the_reasons(steps: list[Step]) -> None:
    with pytest.raises(DataError) as caught:
        run(frame_of(["", "nine", "ten"]), steps)
    message = str(caught.value)
    assert "none of 3 is left" in message
    assert "empty_text (1)" in message
    assert "too_few_words (2)" in message
    with pytest.raises(DataError, match="none was read"):
        run(frame_of([]), steps)


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        (["empty"], r"got 'empty'; must be"),
        ([Empty(), Empty()], "more than one filter is named 'empty'"),
        ([Duplicates(), Normalise()], "Normalise rewrites behind a filter that compares captions"),
    ],
)
def test_a_list_that_cannot_run_is_refused(steps: list[Step], fault: str) -> None:
    with pytest.raises(ConfigError, match=rf"curation\.filters: {fault}"):
        run(frame_of(["a nine"]), steps)


def test_reasons_are_counted_in_the_log_and_shown_by_ten_examples(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    frame = frame_of(["a nine", *["nine"] * 15])
    with caplog.at_level("INFO"):
        curation = curate(batches_of(frame, 4), CHAIN, tmp_path)
    assert "filter length dropped 15 captions: too_few_words" in caplog.text
    assert "1 of 16 captions kept" in caplog.text
    step = next(step for step in curation.steps if step.filter == "length")
    assert step.num_in == 16
    assert step.examples["too_few_words"] == [(line, "test", "nine", 1.0) for line in range(3, 13)]
    assert {path.name for path in tmp_path.iterdir()} == {"kept.parquet", "rejected.parquet"}


def test_the_balance_counts_what_people_keep(tmp_path: Path) -> None:
    texts = [f"a nine {number}" for number in range(50)]
    (tmp_path / "all").mkdir()
    wish = [Edit(line, text, "keep", "", "mine", "Ada") for line, text in enumerate(texts, 2)]
    steps: list[Step] = [Balance(WORDS, 10, seed=0)]
    edits = Edits(wish, tmp_path / "caption_edits.csv")
    curation = curate(batches_of(frame_of(texts), 20), steps, tmp_path / "all", edits=edits)
    assert curation.num_kept == 50
    assert curation.balance is not None
    assert curation.balance.rows() == [("nine", 50, 50)]


def test_the_audit_after_is_of_what_is_kept_once(tmp_path: Path) -> None:
    """Several filters survey the corpus, each a pass of its own; the last one's captions are counted."""
    audit = Audit(
        AuditSettings(
            groups={"digit": {"nine": ["nine"], "two": ["two"]}}, prompts={"digit": "a {}"}, pairs=[]
        )
    )
    texts = [f"a nine {number}" for number in range(30)] + ["a two"] * 3
    steps: list[Step] = [Duplicates(), NearDuplicates(0.99), Balance(WORDS, 10, seed=0)]
    curation = curate(batches_of(frame_of(texts), 8), steps, tmp_path, audit=audit)
    kept = curation.kept().collect()["text"]
    assert (curation.before.num, curation.after.num) == (33, len(kept))
    assert curation.before.both.diagonal()[:2].tolist() == [30, 3]
    assert curation.after.both.diagonal()[:2].tolist() == [kept.str.contains("nine").sum(), 1]


def test_a_balance_tells_its_concepts_before_and_after(tmp_path: Path) -> None:
    texts = [f"a nine {number}" for number in range(50)] + ["a two", "x"]
    curation = curate(batches_of(frame_of(texts), 20), [Balance(WORDS, 10, seed=0)], tmp_path)
    assert curation.balance is not None
    kept = curation.kept().collect()
    num_nines = kept["text"].str.contains("nine").sum()
    assert curation.balance.rows() == [("nine", 50, num_nines), ("two", 1, 1)]
    assert curation.balance_bound == 10
    assert num_nines < 30


def test_the_engine_asks_every_step_for_its_balance_and_knows_none_by_type(tmp_path: Path) -> None:
    table = pl.DataFrame({"entry": ["nine"], "before": [2], "after": [1]})

    class Theirs(Step):
        """Neither a filter nor a rewriter of this package: it drops the second half of each batch."""

        name = "theirs"
        surveys = True

        def apply(self, captions: pl.DataFrame) -> Applied:
            half = len(captions) // 2
            faults = pl.Series(
                [None] * half + ["in_the_second_half"] * (len(captions) - half), dtype=pl.String
            )
            return split_off(captions, self.name, faults, None)

        def balanced(self) -> Balanced:
            return Balanced(table, 1.0)

    curation = curate(batches_of(frame_of(["a nine", "a two"]), 2), [Theirs()], tmp_path)
    assert curation.kept().collect()["text"].to_list() == ["a nine"]
    assert curation.rejected().select("text", "filter", "reason", "score").collect().rows() == [
        ("a two", "theirs", "in_the_second_half", None)
    ]
    assert curation.balance is table
    assert curation.balance_bound == 1
