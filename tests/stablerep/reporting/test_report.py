"""The report's page."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.reporting.content import ReportContent
from stablerep.reporting.report import build_report, find_rivals, listed_facts, stage_rows
from stablerep.reporting.tables import make_table
from tests.stablerep.reporting.content import make_content, make_image_sets, make_learned, make_study


class Page(HTMLParser):
    """Collects addresses, texts, and whether every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = [value or "" for name, value in attrs if name in ("src", "href", "action")]
        if tag == "a":
            self.links += found
        else:
            self.addresses += found
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
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
    assert html.count("<script") == html.count("<script>") == 1
    assert "default-src 'none'" in html
    assert not re.search(r"(url\(|@import|https?:)", html)


def test_every_section_is_named_by_its_heading_and_listed(html: str) -> None:
    page = Page(html)
    assert len(set(page.ids)) == len(page.ids)
    assert [link.removeprefix("#") for link in page.links if link != "#main"] == [
        each for each in page.ids if each != "main"
    ]
    assert re.findall(r'<section aria-labelledby="([^"]+)">', html) == [i for i in page.ids if i != "main"]
    for landmark in ("<header", "<nav aria-label=", '<main id="main"', 'class="skip" href="#main"'):
        assert landmark in html


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
        "generate images 44.2 s train arm 5 min 13 s total 5 min 57 s",
        "images per second 93.22",
        "6 trainings of 6 arms on 4 image sets; frozen encoders, tested on 2 evaluation sets by "
        "2 evaluations",
        "enough rows broken",
        "Gate on captions: passed (1 of 1 rules hold)",
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
    assert "The variance of a mean has two parts: that of the units" in text
    assert "seeds 0, 1, 2" in text
    assert "and the seeds of an arm" in text
    assert "There is one seed" not in text


def test_what_was_not_measured_is_called_so(html: str) -> None:
    text = text_of(html)
    assert "price not known" in text
    costs = {"synthetic": {"num_made_images": 9, "seconds": 0.0, "gpu_energy_j": None, "price": None}}
    text += text_of(build_report(replace(make_content(), drawing_costs=costs)))
    assert "No counter on this machine reports energy." in text and "No price is set" in text
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
    wide = r'(<div class="wide" role="region" tabindex="0" aria-label="[^"]+">)?\s*<table([^>]*)>'
    for table in re.finditer(wide, html):
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


def test_a_sorted_column_has_a_key_in_each_cell_with_a_figure(html: str) -> None:
    table = html[html.index('<table class="sortable arms">') :]
    table = table[: table.index("</table>")]
    figures = re.findall(r'<td class="n" data-sort="([^"]+)"><b>([^<]+)</b>', table)
    assert len(figures) == 8 * 2
    assert all(f"{100 * float(key):.1f}" == shown for key, shown in figures)


def test_any_number_of_evaluations_and_metrics_have_a_column() -> None:
    content = make_content((0, 1, 2))
    knn = content.metrics.query("evaluation == 'knn'")
    rank = knn.assign(evaluation="retrieval", metric="median_rank", value=12.5, low=11.0, high=14.0)
    error = knn.assign(evaluation="calibration", metric="calibration_error", value=0.031)
    shots = [knn.assign(evaluation=f"few_shot_{number}") for number in (1, 5, 10)]
    metrics = pd.concat([content.metrics, rank, error, *shots])
    page = build_report(replace(content, metrics=metrics))
    text = text_of(page)
    for heading in ("retrieval, median rank", "calibration, calibration error", "few shot 10"):
        assert f'<th scope="col" class="n">{heading}</th>' in page
    assert "12.5" in text and "3.1" in text
    assert "Each seed, linear probe arm seed 0, % seed 1, % seed 2, %" in text


def test_the_page_shows_neighbours_and_a_map_with_texts() -> None:
    page = build_report(replace(make_content(), learned=make_learned()))
    text = text_of(page)
    assert "What the encoders find similar" in text
    assert "% with StableRep, " in text and "n = 30 test images" in text
    assert 'alt="right: cow"' in page and 'alt="test image of class cow"' in page
    assert 'role="img" aria-label="Map of 30 test images' in page
    assert page.count("<image href=") == 1 and Page(page).open == []


def test_the_page_shows_a_study_and_the_arms_over_guidance() -> None:
    content = replace(make_content(), guidance_study=make_study())
    text = text_of(build_report(content))
    assert "guidance scale 3.0 (2.1 to 4.4); no evidence against 2.5" in text
    assert "6 short trials" in text
    assert "#guidance" not in build_report(make_content())


def test_pages_beside_this_one_are_linked(html: str) -> None:
    page = build_report(replace(make_content(), links={"all of curation": "curation.html"}))
    assert '<a href="curation.html">all of curation</a>' in page
    assert "Beside this page" not in html


def test_rivals_are_the_best_arms_on_other_image_sets() -> None:
    table = make_table(make_content(), "zoo", "species")
    assert [row.arm for row in find_rivals(table, table.rows[0])] == ["clip_half", "clip_real"]
    assert find_rivals(table, None) == []


def test_ledgers_and_nested_facts_are_not_listed() -> None:
    sets = make_image_sets()
    assert listed_facts(sets["synthetic"]) == {"source": "generated", "guidance_scale": 2.0}
    empty = {"source": "generated", "policy": {}, "num_captions": None}
    assert listed_facts(replace(sets["synthetic"], settings=empty)) == {"source": "generated"}
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
