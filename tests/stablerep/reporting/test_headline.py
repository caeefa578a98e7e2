"""The report's headline: what it claims, and what limits the claim."""

from dataclasses import replace

import pandas as pd
import pytest

from stablerep.reporting.headline import write_headline
from stablerep.reporting.tables import make_table
from tests.stablerep.reporting.content import ARMS, make_content, make_tables


def headline_of(content):
    headline = write_headline(content, make_table(content, "zoo", "species"))
    # no-break spaces become spaces
    return " ".join(headline.sentence.split()), [" ".join(each.split()) for each in headline.cautions]


def content_with(levels=None, arms=None, seeds=(0,), **others):
    """Returns content whose arms have other accuracies, or only some of the arms."""
    chosen = {arm: facts for arm, facts in ARMS.items() if arms is None or arm in arms}
    for arm, level in (levels or {}).items():
        chosen[arm] = (*chosen[arm][:2], level, level)
    metrics, unit_scores = make_tables(seeds, chosen)
    return replace(make_content(), metrics=metrics, unit_scores=unit_scores, seeds=seeds, **others)


def test_the_best_arm_is_named_with_its_interval_against_the_best_reference():
    sentence, _ = headline_of(make_content())
    assert sentence.startswith("StableRep+, trained on synthetic images, reaches 95.0 % (95 % interval ")
    assert " on zoo, task species, by linear probe: " in sentence
    assert sentence.endswith(") above raw pixels, the best reference without training")


def test_a_reference_is_never_the_best_arm():
    # the rendered images give the highest accuracy of all
    sentence, _ = headline_of(content_with({"stablerep_rendered": 0.99}))
    assert sentence.startswith("StableRep+, ")


def test_a_model_that_someone_else_trained_is_no_arm_and_nothing_that_must_be_beaten():
    arms = {**ARMS, "dinov3": ("pretrained", "none", 0.95, 0.95)}
    metrics, scores = make_tables(arms=arms)
    content = replace(make_content(), metrics=metrics, unit_scores=scores)
    sentence, _ = headline_of(content)
    assert sentence.startswith("StableRep+, ") and "dinov3" not in sentence
    row = make_table(content, "zoo", "species").row("dinov3")
    assert row.is_reference and not row.is_floor


def test_references_may_have_other_names():
    arms = {"stablerep": ARMS["stablerep"], "random_vit": ("none", "none", 0.95, 0.95)}
    metrics, scores = make_tables(arms=arms)
    sentence, _ = headline_of(replace(make_content(), metrics=metrics, unit_scores=scores))
    assert ": it does not beat random vit (" in sentence


@pytest.mark.parametrize(
    ("reference", "title"), [("untrained", "the untrained encoder"), ("raw_pixels", "raw pixels")]
)
def test_an_arm_that_does_not_beat_a_reference_is_said_not_to(reference, title):
    sentence, _ = headline_of(content_with({reference: 0.88}))
    assert f": it does not beat {title} (" in sentence
    assert "above" not in sentence


def test_an_arm_that_beats_neither_reference_is_said_to_beat_neither():
    sentence, _ = headline_of(content_with({"untrained": 0.95, "raw_pixels": 0.95}))
    assert ": it does not beat " in sentence
    assert "raw pixels (" in sentence and " or " in sentence and "the untrained encoder (" in sentence


def test_without_a_reference_the_headline_says_so():
    sentence, _ = headline_of(content_with(arms=["stablerep"]))
    assert "it was compared with neither an untrained encoder nor raw pixels" in sentence


def test_without_a_trained_arm_the_headline_says_so():
    sentence, _ = headline_of(content_with(arms=["untrained", "raw_pixels"]))
    assert sentence.startswith("No arm was trained. On zoo, task species, by linear probe: raw pixels ")
    assert "the untrained encoder " in sentence


def test_without_a_linear_probe_the_first_evaluation_counts():
    content = make_content()
    metrics = content.metrics.query("evaluation == 'knn'")
    scores = content.unit_scores.query("evaluation == 'knn'")
    sentence, _ = headline_of(replace(content, metrics=metrics, unit_scores=scores))
    assert "by nearest neighbours" in sentence


@pytest.mark.parametrize(
    ("share", "caution"),
    [
        (0.0, ["The training captions name no class of zoo, task species."]),
        (0.004, ["Only 0.4 % of the training captions name a class of zoo, task species."]),
        (0.00999, ["Only 1 % of the training captions name a class of zoo, task species."]),
        (0.01, []),
        (0.7, []),
    ],
)
def test_captions_that_do_not_name_the_classes_are_a_caution(share, caution):
    _, cautions = headline_of(content_with(seeds=(0, 1, 2), class_mentions={("zoo", "species"): share}))
    assert cautions == caution


def test_a_smoke_run_says_that_its_figures_say_nothing():
    _, cautions = headline_of(content_with(seeds=(0, 1, 2), size="smoke"))
    assert cautions == ["A smoke run: its figures say nothing about accuracy."]


@pytest.mark.parametrize(
    ("seeds", "start"),
    [((0,), "One seed: differences between seeds"), ((0, 1), "Two seeds: they say little")],
)
def test_fewer_than_three_seeds_are_a_caution(seeds, start):
    _, (caution,) = headline_of(content_with(seeds=seeds))
    assert caution.startswith(start)
    assert headline_of(content_with(seeds=(0, 1, 2)))[1] == []


def test_a_reference_of_another_origin_is_not_taken_for_a_trained_arm():
    content = content_with(arms=["untrained", "raw_pixels"])
    other = content.metrics[content.metrics["arm"] == "untrained"].assign(arm="dinov3", value=0.99)
    sentence, _ = headline_of(replace(content, metrics=pd.concat([content.metrics, other])))
    assert sentence.startswith("No arm was trained.")
