"""What looks alike is alike."""

import pytest

from stablerep.curation.normalise import Normalise


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
    ],
)
def test_rewrites(text: str, expected: str) -> None:
    assert Normalise().rewrite(text) == expected


def test_rewriting_again_changes_nothing() -> None:
    every = [chr(code) for code in range(0x3000) if not 0xD800 <= code < 0xE000]
    step = Normalise()
    for first in every[::7]:
        once = step.rewrite(f"e{first}\u0301 {first} x")
        assert step.rewrite(once) == once
