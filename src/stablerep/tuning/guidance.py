"""An Optuna study of the guidance scale over the probe's accuracy on validation images.

A low scale draws varied images that often show the wrong thing, a high one the right thing again and
again: the best lies between (arXiv:2306.00984, section 5: near 2). Kept in sqlite, so that a killed
study goes on where it was.
"""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from stablerep.errors import TrainingError
from stablerep.seeding import seed_of
from stablerep.tuning.settings import TuningSettings

logger = logging.getLogger(__name__)

SCALE = "guidance_scale"
ACCURACY = "validation_accuracy"
STUDY_FILE = "study.sqlite"
SECONDS = "seconds"
TRIAL_COLUMNS = ("trial", SCALE, ACCURACY, "state", SECONDS)

# (guidance scale, trial number) -> metrics, `validation_accuracy` among them
Objective = Callable[[float, int], Mapping[str, float]]
# seed -> sampler
MakeSampler = Callable[[int], optuna.samplers.BaseSampler]


def tpe_sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Makes the default sampler: tree-structured Parzen estimators, from the first free trial on.

    No random start-up: the fixed first scales are the start-up.
    """
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=1)


def run_study(
    objective: Objective,
    settings: TuningSettings,
    folder: Path,
    fingerprint: str,
    make_sampler: MakeSampler = tpe_sampler,
) -> pd.DataFrame:
    """Runs the trials that are still missing.

    What a trial tries is a function of the seed and of the trials completed before it, so a study that
    was killed and resumed tries what an uninterrupted one tries.

    Args:
        objective: what a scale is worth; higher is better.
        settings: how many trials, and where.
        folder: of the study's sqlite file; made where it is missing.
        fingerprint: of everything else that the objective depends on. Trials of another fingerprint stay
            in the file and do not count.
        make_sampler: makes Optuna's sampler from a seed.

    Returns:
        A row a trial: trial, guidance_scale, validation_accuracy in [0, 1] (NaN unless complete), state
        (complete or fail), seconds. Trials that were killed are rows with state fail and seconds NaN.

    Raises:
        TrainingError: the objective gave no finite `validation_accuracy`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # a study's name is its identity in the file; the range and the seed shape it as well
    digest = seed_of(fingerprint, str(settings.low), str(settings.high), settings.seed)
    study = optuna.create_study(
        study_name=f"guidance-{digest:016x}",
        storage=f"sqlite:///{(folder / STUDY_FILE).absolute()}",
        sampler=make_sampler(0),
        direction="maximize",
        load_if_exists=True,
    )
    _close_killed_trials(study)
    while (num_done := len(_trials(study, TrialState.COMPLETE))) < settings.num_trials:
        study.sampler = make_sampler(seed_of("study", settings.seed, num_done) % 2**32)
        _run_trial(study, objective, settings, num_done)
    return trials_frame(study)


def _trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=states)


def _close_killed_trials(study: optuna.Study) -> None:
    """Marks as failed what a killed process left running or waiting; one process at a time runs a study."""
    for waiting in _trials(study, TrialState.WAITING):
        logger.info("trial %d was waiting: closed", waiting.number)
        study.tell(study.ask(), state=TrialState.FAIL)
    for killed in _trials(study, TrialState.RUNNING):
        logger.info("trial %d was killed: its place is taken by a new one", killed.number)
        study.tell(killed.number, state=TrialState.FAIL)


def _run_trial(study: optuna.Study, objective: Objective, settings: TuningSettings, num_done: int) -> None:
    if num_done < len(settings.first_scales):
        study.enqueue_trial({SCALE: settings.first_scales[num_done]})
    trial = study.ask()
    scale = trial.suggest_float(SCALE, settings.low, settings.high)
    logger.info("trial %d of %d: guidance scale %.3g", num_done + 1, settings.num_trials, scale)
    started = time.monotonic()
    try:
        metrics = objective(scale, trial.number)
        accuracy = metrics.get(ACCURACY, float("nan"))
        if not 0 <= accuracy <= 1:
            raise TrainingError(f"trial {trial.number}: got {ACCURACY} {accuracy!r}; must be in [0, 1]")
    except Exception:
        trial.set_user_attr(SECONDS, time.monotonic() - started)
        study.tell(trial, state=TrialState.FAIL)
        raise
    for name, value in metrics.items():
        trial.set_user_attr(name, float(value))
    trial.set_user_attr(SECONDS, time.monotonic() - started)
    study.tell(trial, accuracy)
    logger.info("trial %d: %.1f %% on validation images", num_done + 1, 100 * accuracy)


def trials_frame(study: optuna.Study) -> pd.DataFrame:
    """Returns the finished trials of a study as `run_study` does."""
    rows: list[dict[str, Any]] = [
        {
            "trial": trial.number,
            SCALE: trial.params.get(SCALE, float("nan")),
            ACCURACY: trial.value if trial.value is not None else float("nan"),
            "state": trial.state.name.lower(),
            # not Optuna's duration: its times are the clock's, which may be set back during a trial
            SECONDS: trial.user_attrs.get(SECONDS, float("nan")),
        }
        for trial in _trials(study, TrialState.COMPLETE, TrialState.FAIL)
    ]
    return pd.DataFrame(rows, columns=list(TRIAL_COLUMNS))
