"""The page's section on alignment: what is picked, counted and shown."""

from dataclasses import replace

import pytest

from stablerep.alignment.policy import reject
from stablerep.reporting.alignment import draw_alignment, pick_extremes
from stablerep.reporting.report import build_report
from tests.stablerep.reporting.content import make_alignment, make_content, make_manifest


@pytest.fixture
def scored():
    """Content whose generated set was scored."""
    content = make_content()
    synthetic = replace(content.image_sets["synthetic"], alignment=make_alignment())
    return replace(content, image_sets={**content.image_sets, "synthetic": synthetic})


def test_the_worst_and_the_best_are_one_image_per_caption_in_their_order():
    worst, best = pick_extremes(make_manifest(), 3)
    assert list(worst["alignment"]) == pytest.approx([0.0, 0.1, 0.2])
    # the last caption's second image was blanked and has no score
    assert list(best["alignment"]) == pytest.approx([0.9, 0.85, 0.75])


def test_no_image_is_both_worst_and_best():
    for num in (1, 2, 3, 5):
        worst, best = pick_extremes(make_manifest(num), 12)
        assert not set(worst["caption_id"]) & set(best["caption_id"])
        assert len(worst) == len(best) == num // 2


def test_the_page_shows_counts_threshold_and_both_galleries(scored):
    page = build_report(scored)
    assert "Do the images show what their captions say?" in page
    assert "0.120 were rejected and not used for training" in page
    assert "a-0123456789abcdef" in page
    assert 'rejected: misaligned</th><td class="n">3</td>' in page
    assert 'rejected: blanked by the safety checker</th><td class="n">1</td>' in page
    assert page.count("&lt;i&gt;text&lt;/i&gt;") == 6
    assert page.count('<span class="fail">rejected</span>') == 2
    assert build_report(scored) == page


def test_each_scored_set_has_a_histogram(scored):
    both = {**scored.image_sets, "half": replace(scored.image_sets["half"], alignment=make_alignment())}
    page = build_report(replace(scored, image_sets=both))
    for name in ("synthetic", "half"):
        assert f'alt="Distribution of the alignment scores of {name}, n = ' in page and f'set-{name}"' in page


def test_a_page_without_scores_has_no_section():
    assert "captions say?" not in build_report(make_content())


def test_the_histogram_has_every_scored_image_and_splits_them_at_the_threshold():
    manifest = reject(make_manifest(), 0.12)
    axes = draw_alignment(manifest, 0.12).axes[0]
    accepted, rejected = axes.containers
    assert sum(bar.get_height() for bar in accepted) == 16
    assert sum(bar.get_height() for bar in rejected) == 3
    assert all(bar.get_x() + bar.get_width() <= 0.12 + 1e-9 for bar in rejected if bar.get_height())
    assert all(bar.get_x() >= 0.12 - 1e-9 for bar in accepted if bar.get_height())


def test_equal_scores_and_no_threshold_can_be_drawn():
    manifest = make_manifest().assign(alignment=0.5)
    assert len(draw_alignment(manifest, None).axes[0].lines) == 0
