"""What looks alike is alike."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablerep.curation.filters.normalise import Normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a teal nine", "a teal nine"),
        ("", ""),
        ("  a\t nine \r\n", "a nine"),
        ("a\u00a0nine\u2003teal", "a nine teal"),
        ("a ca\u0301fe\u0301", "a cáfé"),
        ("a \x07ni\x1bne\x7f", "a nine"),
        ("\ufeffa ni\u200bne\u00ad", "a nine"),
        ("\u202ea nine\u202c \u2066x\u2069", "a nine x"),
        # accent and letter meet only once what stood between is gone
        ("e\u200b\u0301", "é"),
        ("🙂 \U0001f469\u200d\U0001f52c", "🙂 \U0001f469\u200d\U0001f52c"),
        ("A Nine, in TEAL!", "A Nine, in TEAL!"),
        ("\x00\u200b", ""),
        ("ﬁne Ⅸ", "ﬁne Ⅸ"),
        ("salt &amp; pepper &lt;3 &#233;", "salt & pepper <3 é"),
        ("fish &amp;amp; chips", "fish & chips"),
        ("<PERSON> and <PERSON>'s dog", "person and person 's dog"),
        ("a <b>bold</b> nine<br/>", "a bold nine"),
        ("&lt;person&gt; waves", "person waves"),
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
    ],
)
def test_rewrites(text: str, expected: str) -> None:
    assert Normalise().rewrite(pl.Series([text])).to_list() == [expected]


def test_the_fast_way_and_the_slow_one_are_one() -> None:
    texts = ["a  nine", " a ~ nine ", 'A "nine"', "", " "]
    assert Normalise().rewrite(pl.Series(texts)).to_list() == [
        Normalise().rewrite_one(text) for text in texts
    ]


_PIECES = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from(
        ["&amp;", "&amp", "amp;", "lt;", "&#38;", "<", ">", "</b>", "<PERSON>", "\u037e", "\u200b", "e\u0301"]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, max_size=20).map("".join))
def test_rewriting_again_changes_nothing(text: str) -> None:
    step = Normalise()
    once = step.rewrite(pl.Series([text]))
    assert step.rewrite(once).to_list() == once.to_list()


def test_entities_nested_without_end_are_no_trap() -> None:
    text = "&" + "amp;" * 250_000
    once = Normalise().rewrite_one(text)
    assert Normalise().rewrite_one(once) == once
