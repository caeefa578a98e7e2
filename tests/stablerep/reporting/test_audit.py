"""The page's section on bias."""

from dataclasses import replace

import pandas as pd

from stablerep.reporting.audit import draw_gaps
from stablerep.reporting.report import build_report
from tests.stablerep.reporting.content import make_content

TERMS = pd.DataFrame(
    [
        {"group": group, "term": f"{group} {n}", "asked": 0.1, "drawn": 0.2, "low": 0.15, "high": 0.25}
        | {"gap": 0.1, "matched": 0.9}
        for group, number in (("animal", 3), ("colour", 2))
        for n in range(number)
    ]
)


def test_each_group_has_a_figure_with_its_terms():
    figures = draw_gaps(TERMS)
    assert list(figures) == ["animal", "colour"]
    assert [label.get_text() for label in figures["colour"].axes[0].get_yticklabels()] == [
        "colour 1",
        "colour 0",
    ]


def test_an_audit_without_rows_has_no_section():
    assert "as often as captions ask" not in build_report(make_content())
    page = build_report(replace(make_content(), image_audit=TERMS))
    assert "as often as captions ask" in page
    assert 'alt="Shares of the terms of animal in captions and images"' in page
