"""The study of the guidance scale."""

import math
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

from stablerep.errors import ConfigError, TrainingError
from stablerep.tuning.guidance import COST, TRIAL_COLUMNS, Outcome, Point, noisy_sampler, run_study
from stablerep.tuning.settings import TuningSettings
from stablerep.validation.schemas import GuidanceTrials

SETTINGS = TuningSettings(
    num_scales=6, low=1.0, high=8.0, num_captions=2, images_per_caption=2, num_images=8, seeds=(0, 1)
)
GRID = [1.0, 8.0, 3.0, 1.7, 5.0]
STEPS = 5


class Peak:
    """An objective with its maximum at 2.5 and noise by seed; raises in trial `dies_at`."""

    def __init__(self, dies_at: int | None = None, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.tried: list[tuple[Point, int]] = []
        self.dies_at = dies_at
        self.error = error

    def __call__(self, point: Point, seed: int) -> Outcome:
        self.tried.append((point, seed))
        if len(self.tried) - 1 == self.dies_at:
            raise self.error
        noise = np.random.default_rng([seed, int(1000 * point.guidance_scale)]).uniform(0, 0.05, 4)
        height = 0.9 * math.exp(-((point.guidance_scale - 2.5) ** 2) / 4)
        return Outcome(height + noise, 2.0 * point.num_inference_steps, {"loss": 1.0})


def study(objective: object, folder: Path, fingerprint: str = "a", **changes: object) -> pd.DataFrame:
    return run_study(objective, SETTINGS.changed(**changes), folder, fingerprint, STEPS)


def _complete(trials: pd.DataFrame) -> list[tuple[float, int]]:
    complete = trials[trials["state"] == "complete"]
    return sorted(zip(complete["guidance_scale"], complete["seed"], strict=True))


def test_each_scale_is_tried_with_each_seed_and_the_first_cover_the_range(tmp_path: Path) -> None:
    objective = Peak()
    trials = study(objective, tmp_path)
    assert tuple(trials.columns) == TRIAL_COLUMNS
    assert objective.tried[:10] == [(Point(scale, STEPS), seed) for scale in GRID for seed in (0, 1)]
    (last, _), (again, _) = objective.tried[10:]
    assert last == again and 1 <= last.guidance_scale <= 8
    assert last.guidance_scale not in GRID
    assert trials["trial"].tolist() == list(range(12))
    GuidanceTrials.validate(trials)
    assert trials["validation_accuracy"].tolist() == [np.mean(each) for each in trials["unit_scores"]]


def test_the_sampler_expects_noise_and_goes_where_accuracy_is_high(tmp_path: Path) -> None:
    objective = Peak()
    study(objective, tmp_path, num_scales=8)
    placed = {point.guidance_scale for point, _ in objective.tried} - set(GRID)
    assert len(placed) == 3
    assert all(1.7 < scale < 5 for scale in placed)
    sampler = noisy_sampler(0)
    assert isinstance(sampler, optuna.samplers.GPSampler)
    assert not sampler._deterministic


@pytest.mark.parametrize(("dies_at", "error"), [(1, TrainingError), (11, KeyboardInterrupt)])
def test_a_killed_study_goes_on_as_if_it_had_not_been(
    tmp_path: Path, dies_at: int, error: type[BaseException]
) -> None:
    whole = study(Peak(), tmp_path / "whole")
    killed = Peak(dies_at, error)
    with pytest.raises(error):
        study(killed, tmp_path / "killed")
    objective = Peak()
    resumed = study(objective, tmp_path / "killed")
    assert len(objective.tried) == 12 - dies_at
    assert objective.tried[0] == killed.tried[-1], "the trial that was killed is the first to be tried"
    assert _complete(resumed) == _complete(whole)
    assert (resumed["state"] == "fail").sum() == 1


def test_more_seeds_and_scales_add_to_a_study(tmp_path: Path) -> None:
    study(Peak(), tmp_path, num_scales=2)
    more = Peak()
    assert len(study(more, tmp_path, num_scales=2, seeds=(0, 1, 2))) == 6
    assert {seed for _, seed in more.tried} == {2}
    again = Peak()
    assert len(study(again, tmp_path, num_scales=3)) == 6
    assert [point.guidance_scale for point, _ in again.tried] == [3.0, 3.0]
    nothing = Peak()
    study(nothing, tmp_path, num_scales=3)
    assert nothing.tried == []


def test_trials_of_another_objective_do_not_count(tmp_path: Path) -> None:
    study(Peak(), tmp_path, num_scales=2)
    objective = Peak()
    assert len(study(objective, tmp_path, "b", num_scales=2)) == 4
    assert len(objective.tried) == 4


def test_several_numbers_of_steps_are_a_second_objective(tmp_path: Path) -> None:
    objective = Peak()
    trials = study(objective, tmp_path, num_inference_steps=(3, 5))
    points = {point for point, _ in objective.tried}
    assert len(points) == 12 and len(objective.tried) == 24
    assert {Point(scale, steps) for scale in GRID for steps in (3, 5)} < points
    assert set(trials[COST]) == {6.0, 10.0}
    stored = optuna.get_all_study_summaries(f"sqlite:///{tmp_path / 'study.sqlite'}")
    assert [each.name for each in stored[0].directions] == ["MAXIMIZE", "MINIMIZE"]


def test_the_sampler_is_the_one_given_and_a_range_that_is_used_up_is_told(tmp_path: Path) -> None:
    seeds = []

    def make_sampler(seed: int) -> optuna.samplers.BaseSampler:
        seeds.append(seed)
        return optuna.samplers.RandomSampler(seed=seed)

    run_study(Peak(), SETTINGS.changed(num_scales=7), tmp_path, "a", STEPS, make_sampler)
    assert len(set(seeds)) == 2
    one = SETTINGS.changed(low=2.0, high=2.0, num_scales=2)
    with pytest.raises(TrainingError, match="finds no scale beyond the 1 points"):
        run_study(Peak(), one, tmp_path, "b", STEPS, make_sampler)


@pytest.mark.parametrize("scores", [[], [math.nan], [0.5, 1.5]])
def test_an_objective_without_scores_is_an_error(tmp_path: Path, scores: list[float]) -> None:
    with pytest.raises(TrainingError, match="must be some, in"):
        study(lambda *_: Outcome(np.array(scores), 1.0), tmp_path)


def test_a_range_of_one_scale_has_one_first_trial() -> None:
    assert SETTINGS.changed(low=2.0, high=2.0).first_scales == (2.0,)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"low": 9.0}, "tuning.high: got 8.0; must be >= tuning.low = 9"),
        ({"seeds": (1,)}, "tuning.seeds"),
        ({"seeds": (1, 1)}, r"tuning.seeds: got \[1, 1\]; each value must occur only once"),
        ({"num_inference_steps": (5, 5)}, "tuning.num_inference_steps: .*must occur only once"),
    ],
)
def test_a_study_that_cannot_know_its_noise_names_its_key(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        SETTINGS.changed(**changes)


def test_seconds_are_those_of_the_trial_and_unknown_of_a_killed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1_000, 7))
    monkeypatch.setattr("stablerep.tuning.guidance.time.monotonic", lambda: float(next(clock)))
    for error in (TrainingError, KeyboardInterrupt):
        with pytest.raises(error):
            study(Peak(0, error), tmp_path, num_scales=1)
    trials = study(Peak(), tmp_path, num_scales=1)
    assert trials["state"].tolist() == ["fail", "fail", "complete", "complete"]
    assert trials["seconds"].fillna(-1).tolist() == [7, -1, 7, 7]
