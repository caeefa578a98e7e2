"""The pages in a browser: the console, the width of a phone, both colour schemes, keyboard, screen reader."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stablerep.reporting.axes import PALETTE
from stablerep.reporting.comparison import build_comparison
from stablerep.reporting.report import build_report
from tests.browser.chromium import NAMES, Browser, find_chromium
from tests.stablerep.reporting.content import (
    make_alignment,
    make_content,
    make_learned,
    make_record,
    make_study,
)

pytestmark = pytest.mark.browser
PHONE, DESK = 420, 1280
# (contrast, text) of each element with a text of its own, by WCAG 2.1; its ground is the nearest that is set
CONTRASTS = """
[...document.querySelectorAll("body *")].filter(e => {
    const isText = n => n.nodeType === 3 && n.textContent.trim();
    return e.checkVisibility() && e.closest("svg, script") === null && [...e.childNodes].some(isText);
}).map(e => {
    const rgb = text => text.match(/[\\d.]+/g).map(Number);
    const linear = v => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const isClear = g => (rgb(getComputedStyle(g).backgroundColor)[3] ?? 1) === 0;
    let ground = e;
    while (ground && isClear(ground)) ground = ground.parentElement;
    const one = light(rgb(getComputedStyle(e).color));
    const two = ground ? light(rgb(getComputedStyle(ground).backgroundColor)) : 1;
    return [(Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05), e.textContent.trim().slice(0, 40)];
})
"""
# elements that reach beyond the window and lie in nothing that scrolls
BEYOND = """
[...document.querySelectorAll("body *")].filter(e => e.closest(".wide, pre, .skip, script") === null &&
  e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_chromium()
    assert program is not None, f"must be installed: one of {', '.join(NAMES)}"
    opened = Browser(program, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report with everything that it may have, and a comparison."""
    folder = tmp_path_factory.mktemp("pages")
    content = make_content((0, 1))
    scored = replace(content.image_sets["synthetic"], alignment=make_alignment())
    full = replace(
        content,
        image_sets={**content.image_sets, "synthetic": scored},
        learned=make_learned(),
        guidance_study=make_study(),
        links={"all of curation": "curation.html"},
        configuration={"a_key": "long " * 80, "another": "x" * 400},
    )
    runs = {"a run with quite a long name of its own": make_record(), "another": make_record()}
    made = {
        "report": build_report(full),
        "comparison": build_comparison(runs),
    }
    for name, html in made.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("name", ["report", "comparison"])
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("dark", [False, True])
def test_a_page_fits_its_window_and_reports_no_fault(
    browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    browser.open(pages[name], width, dark=dark)
    assert browser.faults == []
    assert browser.requests == [pages[name].as_uri()], "nothing but the page is asked for"
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(BEYOND) == []
    assert browser.run("[...document.images].every(each => each.naturalWidth > 0)")


@pytest.mark.parametrize("name", ["report", "comparison"])
@pytest.mark.parametrize("dark", [False, True])
def test_texts_have_the_contrast_that_wcag_asks_for(
    browser: Browser, pages: dict[str, Path], name: str, dark: bool
) -> None:
    browser.open(pages[name], DESK, dark=dark)
    found: list[tuple[float, str]] = browser.run(CONTRASTS)
    assert len(found) > 30
    assert [each for each in found if each[0] < 4.5] == []


def test_a_page_follows_the_colour_scheme(browser: Browser, pages: dict[str, Path]) -> None:
    for dark in (False, True):
        browser.open(pages["report"], DESK, dark=dark)
        colour = PALETTE["ground"][dark].removeprefix("#")
        expected = ", ".join(str(int(colour[place : place + 2], 16)) for place in (0, 2, 4))
        assert browser.run("getComputedStyle(document.body).backgroundColor") == f"rgb({expected})"


FIRST = "document.querySelector('table.arms')"
ROWS = f"[...{FIRST}.tBodies[0].rows]"
NAMES_OF_ARMS = f"{ROWS}.map(row => row.cells[0].firstChild.nextSibling.textContent.trim())"
VALUES = f"{ROWS}.map(row => Number(row.cells[PLACE].dataset.sort))"


def test_a_table_sorts_by_mouse_and_by_keyboard_and_back(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], DESK)
    before = browser.run(NAMES_OF_ARMS)
    heading = f"{FIRST}.tHead.rows[0].cells[2]"
    browser.run(f"{heading}.querySelector('button').click()")
    values = browser.run(VALUES.replace("PLACE", "2"))
    assert values == sorted(values, reverse=True) and len(set(values)) > 4
    assert browser.run(f"{heading}.getAttribute('aria-sort')") == "descending"
    browser.run(f"{heading}.querySelector('button').focus()")
    browser.press("Enter", 13, "\r")
    assert browser.run(VALUES.replace("PLACE", "2")) == sorted(values)
    assert browser.run(f"{heading}.getAttribute('aria-sort')") == "ascending"
    browser.press("Enter", 13, "\r")
    assert browser.run(NAMES_OF_ARMS) == before
    browser.run(f"{FIRST}.tHead.rows[0].cells[0].querySelector('button').click()")
    names = browser.run(NAMES_OF_ARMS)
    assert names == sorted(names, key=str.lower)


def test_the_first_tab_skips_to_the_results(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], DESK)
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().left") >= 0
    browser.press("Enter", 13, "\r")
    assert browser.run("document.activeElement.id") == "main"


def test_a_screen_reader_finds_landmarks_with_names(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], DESK)
    nodes: list[dict[str, Any]] = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = {node["role"]["value"] for node in nodes if "role" in node}
    assert {"banner", "navigation", "main", "region", "columnheader", "rowheader"} <= roles
    for node in nodes:
        role = node.get("role", {}).get("value")
        if role in ("region", "image", "img", "link", "button") and not node.get("ignored"):
            assert node.get("name", {}).get("value"), node


def test_a_wide_table_scrolls_by_keyboard_inside_its_card(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], PHONE)
    assert browser.run("[...document.querySelectorAll('.wide')].every(e => e.tabIndex === 0)")
    assert browser.run("[...document.querySelectorAll('.wide')].some(e => e.scrollWidth > e.clientWidth)")


def test_captions_are_text(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], DESK)
    assert browser.run("document.body.textContent.includes('a <b>spotted</b> cat')")
