"""A study of the guidance scale over the probe's accuracy on validation images, with repeats.

A low scale draws varied images that often show the wrong thing, a high one the right thing again and
again: the best lies between (arXiv:2306.00984, section 5: near 2). One trial's accuracy is noisy, so each
scale is tried with each seed. The first scales are a grid; Optuna places those after it with a Gaussian
process that expects noise. Kept in sqlite, so that a killed study goes on where it was.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from stablerep.errors import TrainingError
from stablerep.seeding import seed_of
from stablerep.tuning.settings import TuningSettings

logger = logging.getLogger(__name__)

SCALE = "guidance_scale"
STEPS = "num_inference_steps"
ACCURACY = "validation_accuracy"
COST = "passes_per_image"
STUDY_FILE = "study.sqlite"
SECONDS = "seconds"
UNIT_SCORES = "unit_scores"
TRIAL_COLUMNS = ("trial", SCALE, STEPS, "seed", ACCURACY, COST, "state", SECONDS, UNIT_SCORES)
_MAX_PROPOSALS = 50  # of a sampler that asks for points that are there


@dataclass(frozen=True, order=True)
class Point:
    """What a trial tries.

    Attributes:
        guidance_scale: of the generator.
        num_inference_steps: of its sampler.
    """

    guidance_scale: float
    num_inference_steps: int


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        unit_scores: (U,) mean score of each unit of the validation images, in [0, 1], in a fixed order.
        passes_per_image: of the generator's denoising network, the cost of an image.
        metrics: further figures, for the study's file.
    """

    unit_scores: np.ndarray
    passes_per_image: float
    metrics: Mapping[str, float] = field(default_factory=dict)


# (point, seed) -> outcome
Objective = Callable[[Point, int], Outcome]
# seed -> sampler
MakeSampler = Callable[[int], optuna.samplers.BaseSampler]


def noisy_sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Makes the default sampler: a Gaussian process that takes equal points of unequal value for noise.

    No random start-up: the fixed first scales are the start-up.
    """
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=1, deterministic_objective=False)


def run_study(
    objective: Objective,
    settings: TuningSettings,
    folder: Path,
    fingerprint: str,
    num_inference_steps: int,
    make_sampler: MakeSampler = noisy_sampler,
) -> pd.DataFrame:
    """Runs the trials that are still missing: each point with each seed.

    What is tried is a function of the settings and of the trials completed before, so a study that was killed
    and resumed tries what an uninterrupted one tries. More seeds or scales than in an earlier run add to it.

    Args:
        objective: what a point is worth.
        settings: what to try.
        folder: of the study's sqlite file; made where it is missing.
        fingerprint: of everything else that the objective depends on. Trials of another fingerprint stay
            in the file and do not count.
        num_inference_steps: of trials, where the settings name none.
        make_sampler: makes Optuna's sampler from a seed.

    Returns:
        One row for each trial: trial, guidance_scale, num_inference_steps, seed, validation_accuracy in
        [0, 1] (mean over units; NaN unless complete), passes_per_image, state (complete or fail), seconds,
        unit_scores (None unless complete). Trials that were killed are rows with state fail and seconds NaN.

    Raises:
        TrainingError: the objective gave no score, or one outside of [0, 1].
    """
    folder.mkdir(parents=True, exist_ok=True)
    steps = settings.num_inference_steps or (num_inference_steps,)
    study = _open_study(settings, folder, fingerprint, steps)
    _close_killed_trials(study)
    num_points = settings.num_scales * len(steps)
    points = [Point(scale, each) for scale in settings.first_scales for each in steps]
    points = list(dict.fromkeys([*points, *(point for point, _ in _completed(study))]))[:num_points]
    ranges = {
        SCALE: optuna.distributions.FloatDistribution(settings.low, settings.high, log=True),
        STEPS: optuna.distributions.CategoricalDistribution(steps),
    }
    while True:
        for point in points:
            for seed in settings.seeds:
                if (point, seed) not in _completed(study):
                    _run_trial(study, objective, point, seed, ranges)
        if len(points) == num_points:
            return trials_frame(study, points, settings.seeds)
        points.append(_next_point(study, points, ranges, make_sampler))


def _open_study(
    settings: TuningSettings, folder: Path, fingerprint: str, steps: tuple[int, ...]
) -> optuna.Study:
    # a study's name is its identity in the file; the range and the steps shape it as well
    digest = seed_of(fingerprint, str(settings.low), str(settings.high), *steps)
    return optuna.create_study(
        study_name=f"guidance-{digest:016x}",
        storage=f"sqlite:///{(folder / STUDY_FILE).absolute()}",
        sampler=noisy_sampler(0),  # not asked: every trial's point is given
        directions=["maximize", "minimize"] if len(steps) > 1 else ["maximize"],
        load_if_exists=True,
    )


def _trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=states)


def _point_of(trial: FrozenTrial) -> Point:
    return Point(trial.params[SCALE], trial.params[STEPS])


def _completed(study: optuna.Study) -> dict[tuple[Point, int], FrozenTrial]:
    complete = _trials(study, TrialState.COMPLETE)
    return {(_point_of(trial), trial.user_attrs["seed"]): trial for trial in complete}


def _close_killed_trials(study: optuna.Study) -> None:
    """Marks as failed what a killed process left running or waiting; one process at a time runs a study."""
    for waiting in _trials(study, TrialState.WAITING):
        logger.info("trial %d was waiting: closed", waiting.number)
        study.tell(study.ask(), state=TrialState.FAIL)
    for killed in _trials(study, TrialState.RUNNING):
        logger.info("trial %d was killed: another one continues from its checkpoint", killed.number)
        study.tell(killed.number, state=TrialState.FAIL)


def _next_point(
    study: optuna.Study,
    points: Sequence[Point],
    ranges: Mapping[str, optuna.distributions.BaseDistribution],
    make_sampler: MakeSampler,
) -> Point:
    """Asks the sampler for a point that was not tried.

    Raises:
        TrainingError: it has no other; the range is one scale, for instance.
    """
    # a copy in memory: a proposal is no trial, and the order of the trials must not matter
    known = [trial for _, trial in sorted(_completed(study).items(), key=lambda each: each[0])]
    for attempt in range(_MAX_PROPOSALS):
        sampler = make_sampler(seed_of("study", len(points), attempt) % 2**32)
        copy = optuna.create_study(directions=study.directions, sampler=sampler)
        copy.add_trials(known)
        params = copy.ask(dict(ranges)).params
        point = Point(round(params[SCALE], 3), params[STEPS])
        if point not in points:
            return point
    raise TrainingError(
        f"tuning.num_scales: the sampler finds no scale beyond the {len(points)} points that were tried. Set "
        "fewer, or a wider range, in conf/params/tuning/<name>.yaml."
    )


def _run_trial(
    study: optuna.Study,
    objective: Objective,
    point: Point,
    seed: int,
    ranges: Mapping[str, optuna.distributions.BaseDistribution],
) -> None:
    study.enqueue_trial({SCALE: point.guidance_scale, STEPS: point.num_inference_steps})
    trial = study.ask(dict(ranges))
    trial.set_user_attr("seed", seed)
    logger.info("trial %d: guidance scale %.3g, seed %d", trial.number, point.guidance_scale, seed)
    started = time.monotonic()
    try:
        outcome = objective(point, seed)
        scores = np.asarray(outcome.unit_scores, dtype=float)
        if not len(scores) or not ((scores >= 0) & (scores <= 1)).all():
            raise TrainingError(f"trial {trial.number}: got unit scores {scores}; must be some, in [0, 1]")
    except Exception:
        trial.set_user_attr(SECONDS, time.monotonic() - started)
        study.tell(trial, state=TrialState.FAIL)
        raise
    more = {COST: outcome.passes_per_image, SECONDS: time.monotonic() - started, **outcome.metrics}
    for name, value in more.items():
        trial.set_user_attr(name, float(value))
    trial.set_user_attr(UNIT_SCORES, scores.tolist())
    accuracy = float(scores.mean())
    study.tell(trial, [accuracy, outcome.passes_per_image][: len(study.directions)])
    logger.info("trial %d: %.1f %% on validation images", trial.number, 100 * accuracy)


def trials_frame(study: optuna.Study, points: Sequence[Point], seeds: Sequence[int]) -> pd.DataFrame:
    """Returns the finished trials of a study as `run_study` does, of these points and seeds."""
    rows: list[dict[str, Any]] = []
    for trial in _trials(study, TrialState.COMPLETE, TrialState.FAIL):
        attributes = trial.user_attrs
        if not {SCALE, STEPS} <= set(trial.params) or "seed" not in attributes:
            continue  # killed before it began
        point = _point_of(trial)
        if point not in points or attributes["seed"] not in seeds:
            continue
        rows.append(
            {
                "trial": trial.number,
                SCALE: point.guidance_scale,
                STEPS: point.num_inference_steps,
                "seed": attributes["seed"],
                ACCURACY: trial.values[0] if trial.values else float("nan"),
                COST: attributes.get(COST, float("nan")),
                "state": trial.state.name.lower(),
                # not Optuna's duration: its times are the clock's, which may be set back during a trial
                SECONDS: attributes.get(SECONDS, float("nan")),
                UNIT_SCORES: attributes.get(UNIT_SCORES),
            }
        )
    return pd.DataFrame(rows, columns=list(TRIAL_COLUMNS))
