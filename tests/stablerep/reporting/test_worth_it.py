"""The answer to whether synthetic is worth it: whose arms, which figures, and what the sentence says."""

from dataclasses import replace

import pytest

from stablerep.reporting.content import ImageSetFacts, ReportContent
from stablerep.reporting.report import build_report
from stablerep.reporting.worth_it import COMPUTE, EQUALS, answer, draw_worth, kind_of, worth_markdown
from tests.stablerep.reporting.content import make_content, make_history, make_image_sets, make_tables


def mixture(of: dict[str, float], as_many_as: str, shares_of: str = "images") -> ImageSetFacts:
    settings = {"source": "mixture", "of": of, "as_many_as": as_many_as, "shares_of": shares_of}
    return ImageSetFacts("mixture", 900, 300, {}, settings=settings)


SETS = {
    "real_n": mixture({"real": 1.0}, "synthetic"),
    "synthetic_n": mixture({"synthetic": 1.0}, "real_n"),
    "half_n": mixture({"real": 0.5, "synthetic": 0.5}, "real_n"),
    "real_c": mixture({"real_n": 1.0}, "synthetic", "captions"),
    "synthetic_c": mixture({"synthetic": 1.0}, "real_c", "captions"),
}
FOLLOWS = {"q": "p"}  # arm -> the one whose compute it has
HIGH, LOW = 0.8, 0.6


def content_of(
    levels: dict[str, tuple[str, str, float]], seeds: tuple[int, ...] = (0, 1, 2)
) -> ReportContent:
    """Returns a content with arms: name -> method, images, accuracy."""
    arms = {name: (method, images, level, level) for name, (method, images, level) in levels.items()}
    metrics, scores = make_tables(seeds, arms | {"untrained": ("none", "none", 0.1, 0.1)})
    described = {
        name: {"method": method, "images": images, "training": {}, "as_much_compute_as": FOLLOWS.get(name)}
        for name, (method, images, _) in levels.items()
    }
    histories = {(name, seed): make_history() for name in levels for seed in seeds}
    return replace(
        make_content(seeds),
        metrics=metrics,
        unit_scores=scores,
        arms=described,
        histories=histories,
        image_sets=make_image_sets() | SETS,
    )


def equal_images(real: float, synthetic: float, seeds: tuple[int, ...] = (0, 1, 2)) -> ReportContent:
    levels = {"a": ("simclr", "real_n", real), "b": ("simclr", "synthetic_n", synthetic)}
    return content_of(levels, seeds)


def sentence_of(content: ReportContent) -> str:
    worth = answer(content)
    assert worth is not None
    return worth.sentence


def test_what_images_are_follows_from_the_sources_of_their_parts():
    content = equal_images(HIGH, LOW)
    kinds = {name: kind_of(content, name) for name in content.image_sets}
    assert kinds["real_n"] == kinds["real_c"] == kinds["rendered"] == "real"
    assert kinds["synthetic_n"] == "synthetic" and kinds["half_n"] == kinds["half"] == "half"


@pytest.mark.parametrize(
    ("real", "synthetic", "verdict"),
    [
        (LOW, HIGH, "synthetic images are worth it"),
        (HIGH, LOW, "synthetic images are not worth it"),
        (HIGH, HIGH, "there is no clear difference between synthetic and real images"),
    ],
)
def test_the_sentence_says_what_the_interval_of_the_difference_says(real, synthetic, verdict):
    said = sentence_of(equal_images(real, synthetic))
    assert f"at an equal number of images {verdict}: SimCLR on synthetic images reaches" in said
    sign = "+" if synthetic > real else "\N{MINUS SIGN}"
    if real != synthetic:
        assert f"%, {sign}" in said


def test_each_equality_has_a_clause_with_its_own_verdict():
    content = content_of(
        {
            "a": ("simclr", "real_n", HIGH),
            "b": ("simclr", "synthetic_n", LOW),
            "r": ("clip", "real_c", LOW),
            "p": ("clip", "synthetic_c", HIGH),
            "q": ("clip", "real_c", HIGH + 0.1),
        }
    )
    said = sentence_of(content)
    assert "equal number of images synthetic images are not worth it" in said
    assert "equal number of captions synthetic images are worth it" in said
    assert "equal compute (generation included) synthetic images are not worth it" in said
    worth = answer(content)
    row = next(row for row in worth.rows if row.equal == COMPUTE)
    assert {kind: arm.arm for kind, arm in row.arms.items()} == {"real": "q", "synthetic": "p"}
    assert [row.equal for row in worth.rows] == [*EQUALS]


def test_the_best_arms_are_chosen_on_validation_images():
    levels = {
        "a": ("simclr", "real_n", LOW),
        "b": ("simclr", "synthetic_n", LOW),
        "c": ("clip", "real_n", HIGH),
        "d": ("clip", "synthetic_n", HIGH),
    }
    content = content_of(levels)
    assert "CLIP on synthetic images reaches" in sentence_of(content)
    # the other one is chosen although it is worse on test images
    metrics = content.metrics.copy()
    metrics.loc[metrics["arm"] == "b", "validation"] = 0.99
    assert "SimCLR on synthetic images reaches" in sentence_of(replace(content, metrics=metrics))


def test_the_differences_are_those_of_arms_paired_by_unit_and_name_numbers():
    content = content_of(
        {
            "a": ("simclr", "real_n", LOW),
            "b": ("simclr", "synthetic_n", HIGH),
            "h": ("simclr", "half_n", HIGH),
        }
    )
    worth = answer(content)
    (row,) = worth.rows
    assert set(row.differences) == {"synthetic", "half"}
    gain = row.arms["synthetic"].interval.value - row.arms["real"].interval.value
    assert row.differences["synthetic"].value == pytest.approx(gain)
    own_width = row.arms["real"].interval.high - row.arms["real"].interval.low
    assert row.differences["synthetic"].high - row.differences["synthetic"].low < 2 * own_width
    assert row.arms["real"].num_views == 64000
    text = worth_markdown(worth)
    assert text.startswith(worth.sentence)
    assert "| an equal number of images | SimCLR | half | 900 | 300 | 64,000 |" in text


def test_a_method_without_real_images_is_named_and_compared_with_the_best_real_arm():
    content = content_of(
        {
            "a": ("simclr", "real_n", LOW),
            "b": ("simclr", "synthetic_n", LOW),
            "s": ("stablerep", "synthetic_n", HIGH),
            "t": ("stablerep", "half_n", HIGH),
        }
    )
    worth = answer(content)
    assert (
        "StableRep on synthetic images" in worth.sentence and "against SimCLR on real ones" in worth.sentence
    )
    assert any(limit.startswith("StableRep could not be trained on real images") for limit in worth.limits)


@pytest.mark.parametrize(("seeds", "said"), [((0,), "One seed:"), ((0, 1), "Two seeds:"), ((0, 1, 2), None)])
def test_fewer_than_three_seeds_say_what_they_cannot_say(seeds, said):
    limits = answer(equal_images(LOW, HIGH, seeds)).limits
    assert any("seed" in limit for limit in limits) == (said is not None)
    if said is not None:
        assert limits[0].startswith(said) and "t" in limits[0]


def test_the_answer_is_given_where_arms_are_least_saturated():
    content = equal_images(LOW, HIGH)
    metrics, scores = content.metrics.copy(), content.unit_scores.copy()
    metrics.loc[metrics["set"] == "zoo", "value"] = 0.99
    scores.loc[scores["set"] == "zoo", "score"] = 0.99
    assert answer(replace(content, metrics=metrics, unit_scores=scores)).set_name == "farm"


def test_an_experiment_without_such_arms_has_no_answer():
    assert answer(make_content()) is None
    assert "Is synthetic worth it?" not in build_report(make_content())


def test_the_page_has_the_sentence_the_figure_and_a_row_of_each_arm():
    content = equal_images(LOW, HIGH)
    page = build_report(content)
    assert "Is synthetic worth it?" in page and sentence_of(content) in page
    assert page.index("Is synthetic worth it?") < page.index("How the intervals are made")
    assert len(draw_worth(answer(content)).axes) == 1
