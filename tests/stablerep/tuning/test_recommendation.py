"""What a study recommends, in words and in a picture."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.tuning.curve import draw_guidance_curve
from stablerep.tuning.guidance import TRIAL_COLUMNS
from stablerep.tuning.optimum import Estimate, Optimum
from stablerep.tuning.recommendation import recommend, sentence_of
from stablerep.tuning.settings import TuningSettings

SETTINGS = TuningSettings(
    num_scales=5, low=1.0, high=8.0, num_captions=2, images_per_caption=2, num_images=8, seeds=(0, 1, 2)
)
SCALES = np.array([1.0, 2.0, 3.0, 4.0, 8.0])


def optimum(low: float, high: float) -> Optimum:
    curve = np.array([0.50, 0.60, 0.70, 0.69, 0.60])
    return Optimum(Estimate(3.0, low, high), SCALES, np.stack([curve - 0.01, curve + 0.01]))


def trials_of(steps: tuple[int, ...] = (5,), gain: float = 0.0) -> pd.DataFrame:
    """A study whose best scale is near 2.8; more steps are more accurate by `gain`."""
    rng = np.random.default_rng(0)
    rows = []
    for number in steps:
        for scale in SETTINGS.first_scales:
            for seed in SETTINGS.seeds:
                mean = 0.7 - 0.15 * np.log(scale / 2.8) ** 2 + gain * (number == max(steps))
                scores = np.clip(mean + rng.normal(0, 0.01, 300), 0, 1)
                cost = number * (1.0 if scale == 1 else 2.0)
                row = (len(rows), scale, number, seed, scores.mean(), cost, "complete", 1.0, list(scores))
                rows.append(row)
    rows.append((len(rows), 3.0, steps[0], 0, float("nan"), float("nan"), "fail", float("nan"), None))
    return pd.DataFrame(rows, columns=list(TRIAL_COLUMNS))


@pytest.mark.parametrize(
    ("low", "high", "current", "told"),
    [
        (2.1, 4.4, 2.5, "(2.1 to 4.4); no evidence against 2.5"),
        (2.1, 4.4, 8.0, "(2.1 to 4.4); evidence against 8: 10.0 points lower (10.0 to 10.0)"),
        (2.1, 4.4, 12.0, "(2.1 to 4.4); 12 is outside the range of the study"),
        (1.0, 4.4, 2.5, "(1.0 to 4.4), which reaches 1, the limit of the study; no evidence against 2.5"),
        (
            1.0,
            8.0,
            2.5,
            "(1.0 to 8.0), which reaches 1 and 8, the limit of the study; no evidence against 2.5",
        ),
    ],
)
def test_a_recommendation_is_never_a_bare_best(low: float, high: float, current: float, told: str) -> None:
    assert sentence_of(optimum(low, high), current) == f"guidance scale 3.0 {told}"


def test_a_study_recommends_its_best_scale_with_an_interval_and_judges_the_current_one() -> None:
    found = recommend(trials_of(), SETTINGS, 3.2)
    (estimate,) = (each.scale for each in found.optima.values())
    assert estimate.low < 2.8 < estimate.high
    assert found.sentences() == [sentence_of(found.optima[5], 3.2)]
    against = recommend(trials_of(), SETTINGS, 8.0).sentences()[0]
    assert "evidence against 8: " in against
    stored = json.loads(json.dumps(found.to_json()))
    assert stored["guidance_scale"]["5"] == {
        "value": estimate.value, "low": estimate.low, "high": estimate.high,
    }  # fmt: skip
    assert len(stored["points"]) == 5
    assert all(point["accuracy"]["low"] < point["accuracy"]["high"] for point in stored["points"])


def test_two_objectives_have_a_front_of_what_nothing_beats_for_less() -> None:
    found = recommend(trials_of((3, 6), gain=0.2), SETTINGS, 3.2)
    assert set(found.optima) == {3, 6}
    front = [each for each in found.points if each.on_front]
    # no guidance in three steps is the cheapest; in six it is as dear as guidance in three, and better
    costs = [each.passes_per_image for each in front]
    assert min(costs) == 3 and len(front) < len(found.points)
    for one in front:
        assert not any(
            other.accuracy.value >= one.accuracy.value and other.passes_per_image < one.passes_per_image
            for other in found.points
        )
    best = max(found.points, key=lambda each: each.accuracy.value)
    assert best.on_front and best.num_inference_steps == 6
    said = found.sentences()
    assert said[0].startswith("3 steps: guidance scale ")
    assert said[2].startswith("best accuracy for each cost: ")
    assert said[2].count(" passes at scale ") == len(front)


def test_without_a_gain_the_more_expensive_steps_are_off_the_front_but_for_noise() -> None:
    found = recommend(trials_of((3, 6), gain=-0.2), SETTINGS, 3.2)
    assert {each.num_inference_steps for each in found.points if each.on_front} == {3}


def test_trials_on_other_validation_images_do_not_mix() -> None:
    trials = trials_of()
    trials.at[0, "unit_scores"] = [0.5, 0.5]
    with pytest.raises(DataError, match="must be scored on the same validation images"):
        recommend(trials, SETTINGS, 3.2)


def test_the_curve_shows_every_complete_trial_the_band_and_the_interval() -> None:
    found = recommend(trials_of(), SETTINGS, 3.2)
    (axes,) = draw_guidance_curve(found).axes
    assert axes.get_xscale() == "log"
    dots = next(line for line in axes.lines if line.get_linestyle() == "None" and len(line.get_xdata()) == 15)
    assert sorted(set(dots.get_xdata())) == [1.0, 1.7, 3.0, 5.0, 8.0]
    assert len(axes.collections) >= 1  # the band
    assert found.sentences()[0] in axes.get_title(loc="left")


def test_a_study_of_two_objectives_has_a_second_panel() -> None:
    found = recommend(trials_of((3, 6), gain=0.2), SETTINGS, 3.2)
    curves, costs = draw_guidance_curve(found).axes
    assert [text.get_text() for text in curves.get_legend().get_texts()] == ["3 steps", "6 steps"]
    (front,) = (line for line in costs.lines if line.get_label() == "front")
    assert len(front.get_xdata()) == sum(each.on_front for each in found.points)
    assert costs.get_xlabel() == "passes of the denoising network per image"
    one = replace(found, optima={3: found.optima[3]})
    assert len(draw_guidance_curve(one).axes) == 1
