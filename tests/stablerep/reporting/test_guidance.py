"""Figures over the guidance scale."""

from dataclasses import replace

from stablerep.reporting.content import ReportContent
from stablerep.reporting.guidance import (
    accuracy_over_guidance,
    alignment_over_guidance,
    draw_over_guidance,
    draw_study,
)
from stablerep.reporting.tables import make_table
from tests.stablerep.reporting.content import make_content, make_study


def with_scales() -> ReportContent:
    """Content whose sets `synthetic` (scale 2) and `half`, made a generated one, have two scales."""
    content = make_content()
    ledger = {"mean": 0.6, "quantiles": {"q25": 0.5, "q75": 0.7}, "num_scored": 40}
    sets = dict(content.image_sets)
    one = sets["synthetic"]
    sets["synthetic"] = replace(one, facts={**one.facts, "alignment": ledger})
    sets["half"] = replace(
        one, settings={"source": "generated"}, facts={"alignment": {**ledger, "mean": 0.8}}
    )
    metrics = content.metrics.copy()
    metrics.loc[metrics["arm"] == "clip_half", "method"] = "stablerep"
    return replace(
        content, image_sets=sets, metrics=metrics, configuration={"generator": {"guidance_scale": 8.0}}
    )


def test_a_set_without_a_scale_of_its_own_has_the_generators() -> None:
    content = with_scales()
    assert content.guidance_of("synthetic") == 2.0 and content.guidance_of("half") == 8.0
    assert content.guidance_of("real") is None and content.guidance_of("none") is None


def test_methods_with_several_scales_have_a_curve() -> None:
    content = with_scales()
    table = make_table(content, "zoo", "species")
    series = accuracy_over_guidance(content, table)
    assert list(series) == ["stablerep"], "the others were trained at one scale"
    assert [point.scale for point in series["stablerep"]] == [2.0, 8.0]
    two, eight = (point.interval for point in series["stablerep"])
    assert two == table.row("stablerep").cells["linear_probe"].interval
    assert eight == table.row("clip_half").cells["linear_probe"].interval
    (axes,) = draw_over_guidance(series, "accuracy", "probe").axes
    assert axes.get_title(loc="left") == "probe in %"
    assert list(axes.lines[0].get_ydata()) == [100 * two.value, 100 * eight.value]


def test_one_scale_has_no_curve() -> None:
    content = make_content()
    assert accuracy_over_guidance(content, make_table(content, "zoo", "species")) == {}
    assert alignment_over_guidance(content) == {}


def test_alignment_has_a_curve_with_quartiles() -> None:
    (points,) = alignment_over_guidance(with_scales()).values()
    assert [(point.scale, point.interval.value) for point in points] == [(2.0, 0.6), (8.0, 0.8)]
    assert (points[0].interval.low, points[0].interval.high) == (0.5, 0.7)


def test_a_studys_figure_has_its_points_and_says_n() -> None:
    (axes,) = draw_study(make_study()).axes
    assert list(axes.lines[0].get_xdata()) == [1.0, 3.0, 8.0]
    assert list(axes.lines[0].get_ydata()) == [60.0, 80.0, 70.0]
    assert "n = 200 units, 2 seeds" in axes.get_title(loc="left")
    assert [text.get_text() for text in axes.texts] == [" set: 2.5"]
