"""The report's page."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from stablerep.errors import DataError
from stablerep.reporting.content import ReportContent
from stablerep.reporting.report import build_report, find_rivals, listed_facts, stage_rows
from stablerep.reporting.tables import make_table
from tests.stablerep.reporting.content import make_content, make_image_sets


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


def text_of(html: str) -> str:
    return " ".join(Page(html).text.split())


@pytest.fixture(scope="module")
def html() -> str:
    return build_report(make_content())


def test_the_page_needs_nothing_outside_it(html: str) -> None:
    page = Page(html)
    assert page.open == []
    # two figures for each of two sets, six of arms; three captions with four images of two sets, two of one
    assert len(page.addresses) == 4 + 6 + 3 * 2 * 4 + 2
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "<script" not in html
    assert not re.search(r"(url\(|@import|https?:)", html)


def test_every_image_of_the_page_has_a_text_for_those_who_cannot_see_it(html: str) -> None:
    images = re.findall(r"<img [^>]*>", html)
    assert images and all(re.search(r'alt="[^"]+"', image) for image in images)


def test_the_page_shows_sets_arms_rejects_gates_and_times(html: str) -> None:
    text = text_of(html)
    for shown in (
        "StableRep+, trained on synthetic images, reaches",
        "Results on zoo Images: 2,000 train, 200 validation, 240 test.",
        "Splits made by a hash: validation, test.",
        "Unreadable images, left out: 2. Images of test that are also in train, byte for byte: 1.",
        "Results on farm Images: 2,000 train, 200 validation, 240 test. The splits came with the data.",
        "Task species, 10 classes",
        "raw pixels reference not trained",
        "CLIP half CLIP on half",
        "n = 60 groups of images",
        "too few words",
        "line 2: (empty)",
        "enough rows broken",
        "generate images 44.2 s train arm 5 min 13 s",
        "images per second 93.22",
        "a brown horse in front of a striped barn",
        "Image set half A mixture of image sets: 1,800 images of 451 captions.",
        "of real 0.5, synthetic 0.5",
        "Image set rendered reference",
        "Image set real The corpus's own images: 900 images of 1 caption.",
    ):
        assert shown in text, shown


def test_sets_with_the_same_captions_stand_side_by_side(html: str) -> None:
    text = text_of(html)
    assert "The same captions in several image sets" in text
    assert "synthetic rendered a cow synthetic rendered a brown horse" in text


def test_each_set_shows_its_own_captions_where_none_are_shared() -> None:
    content = make_content()
    sets = {name: each for name, each in content.image_sets.items() if name != "rendered"}
    kept = content.metrics[content.metrics["images"] != "rendered"]
    text = text_of(build_report(replace(content, image_sets=sets, metrics=kept, histories={})))
    assert "The same captions" not in text
    assert "Captions and their images" in text and "a cow" in text


def test_the_headline_holds_its_own_limits() -> None:
    mentions = {("zoo", "species"): 0.0}
    html = build_report(replace(make_content(), size="smoke", class_mentions=mentions))
    headline = text_of(html[html.index("<h1>") : html.index("</h1>") + 5])
    assert "A smoke run: its figures say nothing about accuracy." in headline
    assert "The training captions name no class of zoo, task species." in headline
    assert "One seed: differences between seeds are not in the intervals." in headline


def test_the_page_says_how_intervals_over_seeds_are_made(html: str) -> None:
    assert "There is one seed" in text_of(html)
    text = text_of(build_report(make_content((0, 1, 2))))
    assert "Each resample draws S of the S seeds and U of the U units with replacement" in text
    assert "seeds 0, 1, 2" in text
    assert "and the seeds of an arm" in text
    assert "There is one seed" not in text


def test_what_was_not_measured_is_called_so(html: str) -> None:
    text = text_of(html)
    assert "price not known" in text
    assert "None" not in text and "nan" not in text


def test_captions_are_escaped(html: str) -> None:
    assert "<b>spotted</b>" not in html
    assert "a &lt;b&gt;spotted&lt;/b&gt; cat" in html


def test_equal_content_gives_the_same_page(html: str) -> None:
    assert build_report(make_content()) == html


def test_the_page_has_a_dark_scheme_and_a_narrow_one(html: str) -> None:
    assert "prefers-color-scheme:dark" in html
    assert 'name="viewport" content="width=device-width' in html
    # a table scrolls in its card, or its cells may break anywhere
    for table in re.finditer(r'(<div class="wide">)?\s*<table([^>]*)>', html):
        assert table.group(1) or "facts" in table.group(2), html[table.start() : table.start() + 200]


def test_the_page_does_without_captions_histories_gates_and_seconds() -> None:
    content = make_content()
    bare = ReportContent(
        experiment_name="bare",
        seeds=[3],
        metrics=content.metrics[content.metrics["arm"].isin(["clip_real", "untrained"])],
        unit_scores=content.unit_scores,
        num_bootstrap=20,
        image_sets={"real": make_image_sets()["real"]},
        evaluation_sets={},
    )
    text = text_of(build_report(bare))
    assert "No stage has been timed yet." in text
    for absent in ("Rejected captions", "Gate on", "Training", "Machine", "classes", "as often as"):
        assert absent not in text, absent


@pytest.mark.parametrize("arms", [["stablerep_rendered", "raw_pixels"], ["clip_real"], ["untrained"]])
def test_the_page_does_with_references_alone_and_with_one_arm(arms: list[str]) -> None:
    content = make_content()
    few = replace(
        content,
        metrics=content.metrics[content.metrics["arm"].isin(arms)],
        unit_scores=content.unit_scores[content.unit_scores["arm"].isin(arms)],
        histories={(arm, seed): each for (arm, seed), each in content.histories.items() if arm in arms},
    )
    page = build_report(few)
    # one of them in the style, and one in the table of each set
    assert page.count("first-reference") == 1 + 2 * ("clip_real" not in arms)


def test_rivals_are_the_best_arms_on_other_image_sets() -> None:
    table = make_table(make_content(), "zoo", "species")
    assert [row.arm for row in find_rivals(table, table.rows[0])] == ["clip_half", "clip_real"]
    assert find_rivals(table, None) == []


def test_ledgers_and_nested_facts_are_not_listed() -> None:
    sets = make_image_sets()
    assert listed_facts(sets["synthetic"]) == {"source": "generated", "guidance_scale": 2.0}
    assert listed_facts(sets["half"]) == {
        "source": "mixture",
        "of": {"real": 0.5, "synthetic": 0.5},
        "num_images_of": {"real": 900, "synthetic": 900},
    }


def test_seconds_are_shares_of_the_longest() -> None:
    assert stage_rows({"a": 1.0, "b": 4.0}) == [("a", 1.0, 0.25), ("b", 4.0, 1.0)]
    assert stage_rows({}) == []


def test_a_history_of_an_arm_without_metrics_is_an_error() -> None:
    content = make_content()
    histories = {("clip_blue", 0): content.histories["clip_real", 0]}
    with pytest.raises(DataError, match="metrics: arm 'clip_blue' with seed 0 is not in the table"):
        build_report(replace(content, histories=histories))


@pytest.mark.parametrize("table", ["metrics", "unit_scores"])
def test_a_table_without_a_trained_arm_is_an_error(table: str) -> None:
    content = make_content()
    rows = getattr(content, table)
    fewer = replace(content, **{table: rows[rows["arm"] != "clip_real"]})
    with pytest.raises(DataError, match=r"arm 'clip_real' with seed 0.* not in the table"):
        build_report(fewer)


def test_metrics_without_rows_are_an_error() -> None:
    content = make_content()
    with pytest.raises(DataError, match="metrics: the table has no row"):
        build_report(replace(content, metrics=content.metrics.head(0)))
