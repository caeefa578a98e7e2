"""The report's page."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.reporting.report import build_report
from tests.stablerep.reporting.content import ARMS, make_content


class Page(HTMLParser):
    """Collects addresses, texts, and whether every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


@pytest.fixture(scope="module")
def html() -> str:
    return build_report(make_content())


def test_the_page_needs_nothing_outside_it(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert len(page.addresses) == 2 + 3 * 4  # two figures, four images of three captions
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "<script" not in html
    assert not re.search(r"(url\(|@import|https?:)", html)


def test_the_page_shows_arms_rejects_gates_and_times(html: str) -> None:
    text = " ".join(Page(html).text.split())
    for shown in (
        "StableRep, trained on synthetic images, reads the digit of",
        "StableRep+",
        "raw pixels reference",
        "too few words",
        "line 2: (empty)",
        "enough rows broken",
        "generate images 44.2 s train arms 5 min 13 s",
        "images per second 93.22",
        "a teal seven on a striped orange background",
    ):
        assert shown in text, shown


def test_what_nobody_measured_is_called_so(html: str) -> None:
    text = " ".join(Page(html).text.split())
    assert "price not known" in text
    assert "None" not in text


def test_captions_are_escaped(html: str) -> None:
    assert "<b>crimson</b>" not in html
    assert "a &lt;b&gt;crimson&lt;/b&gt; two" in html


def test_equal_content_gives_the_same_page(html: str) -> None:
    assert build_report(make_content()) == html


def test_the_page_does_without_seconds_histories_and_rejects() -> None:
    content = make_content()
    bare = replace(
        content, stage_seconds={}, histories={}, rejected_captions=content.rejected_captions.head(0)
    )
    text = Page(build_report(bare)).text
    assert "No stage has been timed yet." in text
    assert "What curation dropped" not in text


def test_without_an_arm_called_stablerep_the_best_is_the_baseline() -> None:
    content = make_content()
    fewer = replace(
        content,
        metrics=content.metrics[content.metrics["arm"] != "stablerep"],
        hand_scores=content.hand_scores[content.hand_scores["arm"] != "stablerep"],
    )
    best = max((arm for arm in ARMS if arm not in ("stablerep", "stablerep_drawn")), key=lambda a: ARMS[a][2])
    assert best == "stablerep_plus"
    assert "StableRep+, trained on synthetic images, reads" in " ".join(
        Page(build_report(fewer)).text.split()
    )


@pytest.mark.parametrize("arms", [["stablerep_drawn", "raw_pixels"], ["clip_real"], ["untrained"]])
def test_the_page_does_with_references_alone_and_with_one_arm(arms: list[str]) -> None:
    content = make_content()
    few = replace(
        content,
        metrics=content.metrics[content.metrics["arm"].isin(arms)],
        hand_scores=content.hand_scores[content.hand_scores["arm"].isin(arms)],
    )
    page = build_report(few)
    assert page.count("first-reference") == 1 + ("clip_real" not in arms)  # one of them in the style


def test_metrics_without_rows_are_an_error() -> None:
    content = make_content()
    with pytest.raises(DataError, match="no linear probe of"):
        build_report(replace(content, metrics=content.metrics.query("metric == 'knn'")))
    with pytest.raises(DataError, match="metrics: got no row"):
        build_report(replace(content, metrics=pd.DataFrame(columns=content.metrics.columns)))
