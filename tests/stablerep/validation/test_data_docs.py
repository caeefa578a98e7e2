"""The page of a gate stands on its own: nothing in it is loaded from elsewhere, whatever captions say."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stablerep.caption_ids import caption_id_of
from stablerep.errors import GateError
from stablerep.validation.gate import check_captions

HOSTILE = [
    'a nine <img src="http://example.org/a.png">',
    "a <script src='https://example.org/a.js'>alert(1)</script> two",
    '<link rel="stylesheet" href="//example.org/a.css"> four',
    "</td></table> ${caption} {{ 7 * 7 }} five",
]
LOADING = {"script", "link", "img", "iframe", "object", "embed", "source", "video", "audio", "base", "form"}


class Loaded(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag in LOADING or any(name in names for name in ("src", "srcset", "background", "href")):
            self.found.append(f"{tag} {names}")
        self.found += [f"{tag} {name}" for name in names if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _rule(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs}


def _page(folder: Path) -> str:
    """Every kind of rule that takes a caption into the page, all of them broken."""
    rules = {
        "length": _rule("expect_column_values_to_be_between", column="num_words", max_value=1),
        "letters": _rule("expect_column_values_to_not_match_regex", column="text", regex="<b>|."),
        "known": _rule("expect_column_values_to_be_in_set", column="text", value_set=["<i>"]),
        "all": _rule("expect_column_distinct_values_to_be_in_set", column="text", value_set=["<u>"]),
        "common": _rule("expect_column_most_common_value_to_be_in_set", column="text", value_set=["x"]),
        "spread": _rule("expect_column_quantile_values_to_be_between", column="line",
                        quantile_ranges={"quantiles": [0.5], "value_ranges": [[90, 99]]}),
        "a <script>name</script>": _rule("expect_table_row_count_to_be_between", min_value=99),
    }  # fmt: skip
    frame = pd.DataFrame({"caption_id": [caption_id_of(text) for text in HOSTILE], "text": HOSTILE})
    frame = frame.assign(source="<img src=x>", licence="l", line=range(4))
    terms = {"few": _rule("expect_column_values_to_be_between", column="share", max_value=0.1)}
    groups = {"digit": {term: [term] for term in ("nine", "two", "four", "<img src=y>")}}
    gates = {"groups": groups, "captions": rules, "terms": terms, "term_pairs": {}}
    with pytest.raises(GateError):
        check_captions(frame, gates, folder)
    return (folder / "captions/index.html").read_text(encoding="utf-8")


def test_a_page_loads_and_runs_nothing(tmp_path: Path) -> None:
    page = _page(tmp_path)
    loaded = Loaded()
    loaded.feed(page)
    assert loaded.found == []
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert [path.name for path in (tmp_path / "captions").iterdir()] == ["index.html"]


def test_a_page_shows_rules_verdicts_and_captions_as_they_are(tmp_path: Path) -> None:
    loaded = Loaded()
    loaded.feed(_page(tmp_path))
    text = " ".join(loaded.text)
    assert "Gate on captions:  failed" in text
    assert "captions.length" in text
    for caption in HOSTILE:
        assert caption in text


def test_only_the_last_run_stays(tmp_path: Path) -> None:
    _page(tmp_path)
    frame = pd.DataFrame({"caption_id": ["c-1"], "text": ["x"], "source": "s", "licence": "l", "line": 2})
    check_captions(frame, {"groups": {}, "captions": {}, "terms": {}, "term_pairs": {}}, tmp_path)
    page = (tmp_path / "captions/index.html").read_text(encoding="utf-8")
    assert "passed" in page
    assert "failed" not in page
