"""Counts and information against slow loops and closed forms; verdicts at their bounds."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from stablerep.curation.audit import BALANCED, SKEWED, TOO_FEW, UNCLEAR, Audit
from stablerep.curation.filters.counterfactual import SwapTerms
from stablerep.curation.settings import AuditSettings
from stablerep.errors import ConfigError

GROUPS = {
    "gender": {"woman": ["woman", "women", "she"], "man": ["man", "men"]},
    "work": {"cook": ["cook"], "builder": ["builder", "construction worker"]},
}
PROMPTS = {"gender": "a {}", "work": "a {}"}
AUDIT = Audit(
    AuditSettings(groups=GROUPS, prompts=PROMPTS, pairs=[["gender", "work"]], max_pmi=1.0, min_expected=5.0)
)


def captions(*texts: str) -> pl.DataFrame:
    return pl.DataFrame({"text": list(texts)}, {"text": pl.String})


def test_terms_are_found_as_whole_words_once_a_caption() -> None:
    table = captions("A woman, she cooks", "WOMEN cook", "a human", "construction-worker man men", "")
    assert AUDIT.holds(table).tolist() == [
        [True, False, False, False],
        [True, False, True, False],
        [False] * 4,
        [False, True, False, True],
        [False] * 4,
    ]


def test_counts_of_batches_add_up() -> None:
    table = captions(*["a woman cook", "a man", "a builder"] * 7)
    parts = AUDIT.nothing()
    for part in table.iter_slices(4):
        parts += AUDIT.count(part)
    whole = AUDIT.count(table)
    assert parts.num == whole.num == 21
    holds = AUDIT.holds(table)
    holds = np.column_stack([holds, holds[:, :2].any(axis=1), holds[:, 2:].any(axis=1)])
    slow = [[int(sum(a and b for a, b in zip(one, two, strict=True))) for two in holds.T] for one in holds.T]
    assert parts.both.tolist() == whole.both.tolist() == slow
    shares = AUDIT.shares(whole)
    assert shares["share"].tolist() == pytest.approx([1 / 3] * 4)


@pytest.mark.parametrize(
    ("num_both", "verdict"), [(100, BALANCED), (390, SKEWED), (20, SKEWED), (200, UNCLEAR), (0, SKEWED)]
)
def test_verdicts(num_both: int, verdict: str) -> None:
    # of 1,600 captions that name both groups 400 name a woman, 400 a cook
    texts = ["a woman cook"] * num_both + ["a woman builder"] * (400 - num_both)
    texts += ["a man cook"] * (400 - num_both)
    texts += ["a man builder"] * (1600 - len(texts))
    counts = AUDIT.count(captions(*texts))
    row = AUDIT.verdicts(counts).iloc[0]
    assert (row["term_a"], row["term_b"], row["num_both"]) == ("woman", "cook", num_both)
    assert row["verdict"] == verdict


def test_captions_that_name_neither_group_or_one_change_no_verdict() -> None:
    even = [f"a {who} {work}" for who in ("woman", "man") for work in ("cook", "builder")] * 400
    others = ["a cat"] * 9000 + ["a woman"] * 500 + ["a cook"] * 700
    alone, among = (AUDIT.verdicts(AUDIT.count(captions(*texts))) for texts in (even, even + others))
    assert set(alone["verdict"]) == {BALANCED}
    pd.testing.assert_frame_equal(alone, among)


def test_few_captions_have_no_verdict() -> None:
    counts = AUDIT.count(captions(*["a woman cook"] * 4, *["x"] * 20))
    assert set(AUDIT.verdicts(counts)["verdict"]) == {TOO_FEW}
    assert set(AUDIT.verdicts(AUDIT.nothing())["verdict"]) == {TOO_FEW}


@pytest.mark.parametrize(
    ("groups", "pairs", "fault"),
    [
        ({"g": {}}, [], r"curation\.audit\.groups\.g"),
        ({"g": {"a": []}}, [], r"curation\.audit\.groups\.g"),
        ({"g": {"a": ["x"], "b": ["X"]}}, [], "no word of two terms"),
        (GROUPS, [["gender", "age"]], r"curation\.audit\.pairs: got \['gender', 'age'\]"),
        (GROUPS, [["gender", "gender"]], r"curation\.audit\.pairs"),
        (GROUPS, [["gender"]], r"curation\.audit\.pairs"),
    ],
)
def test_settings_that_say_nothing_are_refused(groups: dict, pairs: list, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        AuditSettings(groups=groups, prompts=dict.fromkeys(groups, "a {}"), pairs=pairs)


def test_each_group_has_a_prompt() -> None:
    with pytest.raises(ConfigError, match=r"curation\.audit\.prompts: got"):
        AuditSettings(groups=GROUPS, prompts={"gender": "a {}"}, pairs=[])
    with pytest.raises(ConfigError, match=r"curation\.audit\.prompts: got"):
        AuditSettings(groups=GROUPS, prompts={**PROMPTS, "work": "a cook"}, pairs=[])


SWAP = SwapTerms([["man", "woman"], ["he", "she"]], seed=0)


def test_swapping_brings_a_pair_back_to_chance() -> None:
    texts = [f"a man is the builder number {number}" for number in range(400)]
    swapped = SWAP.rewrite(pl.Series(texts)).to_list()
    num_women = sum("woman" in text for text in swapped)
    assert num_women == pytest.approx(200, abs=40)  # 4 standard deviations
    assert sum("man" in text.split() for text in swapped) == 400 - num_women


def test_both_forms_come_out_alike_and_again_nothing_changes() -> None:
    one = pl.Series([f"A man, {number}: he waves" for number in range(50)] + ["no term", "", "woman manly"])
    other = pl.Series(
        [f"A woman, {number}: she waves" for number in range(50)] + ["no term", "", "man manly"]
    )
    swapped = SWAP.rewrite(one)
    assert swapped.to_list() == SWAP.rewrite(other).to_list() == SWAP.rewrite(swapped).to_list()
    assert {text for text in swapped if "man," in text or "woman," in text} <= {*one, *other}
    assert swapped[50:52].to_list() == ["no term", ""]


def test_a_first_letter_keeps_its_case() -> None:
    forms = set(SWAP.rewrite(pl.Series([f"Man MAN man {number}" for number in range(30)])).str.slice(0, 15))
    assert {form[:5] for form in forms} == {"Man M", "Woman"}
    assert "Woman WOMAN wom" in forms


@pytest.mark.parametrize(
    "rows", [[], [["man"]], [["man", "woman"], ["he"]], [["man", "man"]], [["Man", "woman"]], [["a b", "c"]]]
)
def test_rows_that_cannot_be_swapped_are_refused(rows: list[list[str]]) -> None:
    with pytest.raises(ConfigError, match=r"curation\.filters\.SwapTerms\.rows: got"):
        SwapTerms(rows, seed=0)
