"""The study of the guidance scale."""

import math
from pathlib import Path

import optuna
import pandas as pd
import pytest

from stablerep.errors import ConfigError, TrainingError
from stablerep.tuning.curve import draw_guidance_curve
from stablerep.tuning.guidance import TRIAL_COLUMNS, run_study
from stablerep.tuning.settings import TuningSettings

SETTINGS = TuningSettings(
    num_trials=7, low=1.0, high=8.0, num_captions=2, images_per_caption=2, num_images=8, seed=0
)


class Peak:
    """An objective with its best at 2.5; dies in the trials that it is told to."""

    def __init__(self, dies_at: int | None = None, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.scales: list[float] = []
        self.dies_at = dies_at
        self.error = error

    def __call__(self, scale: float, number: int) -> dict[str, float]:
        self.scales.append(scale)
        if len(self.scales) - 1 == self.dies_at:
            raise self.error
        return {"validation_accuracy": math.exp(-((scale - 2.5) ** 2) / 4), "loss": 1.0}


def _complete(trials: pd.DataFrame) -> list[float]:
    return trials.loc[trials["state"] == "complete", "guidance_scale"].tolist()


def test_first_trials_cover_the_range_and_later_ones_stay_in_it(tmp_path: Path) -> None:
    objective = Peak()
    trials = run_study(objective, SETTINGS, tmp_path, "a")
    assert tuple(trials.columns) == TRIAL_COLUMNS
    assert objective.scales[:5] == [1.0, 8.0, 3.0, 1.7, 5.0]
    assert all(1 <= scale <= 8 for scale in objective.scales)
    assert len(set(objective.scales)) == 7
    assert trials["trial"].tolist() == list(range(7))
    assert (trials["state"] == "complete").all()
    assert (trials["seconds"] >= 0).all()
    assert trials["validation_accuracy"].max() > 0.85


@pytest.mark.parametrize(("dies_at", "error"), [(1, TrainingError), (6, KeyboardInterrupt)])
def test_a_killed_study_goes_on_as_if_it_had_not_been(
    tmp_path: Path, dies_at: int, error: type[BaseException]
) -> None:
    whole = run_study(Peak(), SETTINGS, tmp_path / "whole", "a")
    with pytest.raises(error):
        run_study(Peak(dies_at, error), SETTINGS, tmp_path / "killed", "a")
    objective = Peak()
    resumed = run_study(objective, SETTINGS, tmp_path / "killed", "a")
    assert len(objective.scales) == 7 - dies_at
    assert _complete(resumed) == _complete(whole)
    assert (resumed["state"] == "fail").sum() == 1


def test_num_trials_is_the_total(tmp_path: Path) -> None:
    run_study(Peak(), SETTINGS.changed(num_trials=3), tmp_path, "a")
    objective = Peak()
    assert len(run_study(objective, SETTINGS.changed(num_trials=4), tmp_path, "a")) == 4
    assert len(objective.scales) == 1
    again = Peak()
    run_study(again, SETTINGS.changed(num_trials=4), tmp_path, "a")
    assert again.scales == []


def test_trials_of_another_objective_do_not_count(tmp_path: Path) -> None:
    two = SETTINGS.changed(num_trials=2)
    run_study(Peak(), two, tmp_path, "a")
    objective = Peak()
    assert len(run_study(objective, two, tmp_path, "b")) == 2
    assert len(objective.scales) == 2


def test_the_sampler_is_the_one_given(tmp_path: Path) -> None:
    seeds = []

    def make_sampler(seed: int) -> optuna.samplers.BaseSampler:
        seeds.append(seed)
        return optuna.samplers.RandomSampler(seed=seed)

    run_study(Peak(), SETTINGS.changed(num_trials=4), tmp_path, "a", make_sampler)
    assert len(set(seeds)) == 5


@pytest.mark.parametrize("value", [math.nan, 1.5])
def test_an_objective_without_an_accuracy_is_an_error(tmp_path: Path, value: float) -> None:
    with pytest.raises(TrainingError, match="must be in"):
        run_study(lambda *_: {"validation_accuracy": value}, SETTINGS, tmp_path, "a")


def test_a_range_of_one_scale_has_one_first_trial() -> None:
    assert SETTINGS.changed(low=2.0, high=2.0).first_scales == (2.0,)


def test_a_range_upside_down_names_its_key() -> None:
    with pytest.raises(ConfigError, match="tuning.high: got 0.5"):
        SETTINGS.changed(high=0.5)


def test_the_curve_shows_the_complete_trials_by_scale() -> None:
    trials = pd.DataFrame(
        {
            "trial": [0, 1, 2],
            "guidance_scale": [3.0, 1.0, 8.0],
            "validation_accuracy": [0.8, 0.6, math.nan],
            "state": ["complete", "complete", "fail"],
            "seconds": [1.0, 1.0, 1.0],
        }
    )
    (axes,) = draw_guidance_curve(trials).axes
    assert list(axes.lines[0].get_xdata()) == [1.0, 3.0]
    assert list(axes.lines[1].get_xdata()) == [3.0]


def test_the_curve_of_no_trial_is_empty() -> None:
    (axes,) = draw_guidance_curve(pd.DataFrame(columns=list(TRIAL_COLUMNS))).axes
    assert len(axes.lines[0].get_xdata()) == 0


def test_seconds_are_those_of_the_trial_and_unknown_of_a_killed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1_000, 7))
    monkeypatch.setattr("stablerep.tuning.guidance.time.monotonic", lambda: float(next(clock)))
    for error in (TrainingError, KeyboardInterrupt):
        with pytest.raises(error):
            run_study(Peak(0, error), SETTINGS, tmp_path, "a")
    trials = run_study(Peak(), SETTINGS.changed(num_trials=1), tmp_path, "a")
    assert trials["state"].tolist() == ["fail", "fail", "complete"]
    assert trials["seconds"].fillna(-1).tolist() == [7, -1, 7]
