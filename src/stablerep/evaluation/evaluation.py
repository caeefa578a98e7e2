"""The protocol of an evaluation: choices on train and validation images, then one look at the test images.

An evaluation asks something of a frozen encoder. It makes every choice in `choose`, which is given the train
and validation split, and predicts in `score`, which is given the features of the test images, never their
labels. `evaluate` alone opens the test split, after all evaluations have chosen.
Legend: N images, F features.
"""

import json
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from stablerep.errors import ConfigError
from stablerep.evaluation.bootstrap import interval_over_units, mean_per_unit
from stablerep.evaluation.labelled_set import UNKNOWN
from stablerep.evaluation.subject import Prompts, Split, Subject

logger = logging.getLogger(__name__)

ACCURACY = "accuracy"
METRIC_COLUMNS = (
    "arm", "set", "task", "evaluation", "version", "metric", "value", "low", "high", "num_units",
    "num_images", "validation", "chosen",
)  # fmt: skip
UNIT_COLUMNS = ("arm", "set", "task", "evaluation", "unit", "score")


@dataclass(frozen=True)
class Choice:
    """What an evaluation chose for one task.

    Attributes:
        validation: its accuracy on the validation images, in [0, 1].
        chosen: the settings that the validation images decided, by name; empty where there is nothing to
            choose.
        state: what `score` needs, for instance a fitted classifier.
    """

    validation: float
    chosen: Mapping[str, float | int | str]
    state: Any


class Evaluation(ABC):
    """What is asked of a frozen encoder.

    Attributes:
        name: stands in the tables and in the configuration.
        version: of its protocol: whatever changes its numbers, a default too, is a new version.
        needs_text: whether it only applies to encoders with a text tower.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    needs_text: ClassVar[bool] = False

    def check_train_images(self, num_images: int, whose: str) -> None:
        """Looks before the run whether labelled train images suffice; by default any number does.

        Args:
            num_images: labelled train images of a task, at most.
            whose: the task and its set, for the message.

        Raises:
            ConfigError: they are too few.
        """
        del num_images, whose

    @abstractmethod
    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Makes every choice, for each task.

        Args:
            train: to learn from.
            validation: to choose on.
            prompts: the text side; None for encoders without one.
        """

    @abstractmethod
    def score(self, choices: Mapping[str, Choice], features: np.ndarray) -> dict[str, np.ndarray]:
        """Predicts for each task, with what was chosen.

        Args:
            choices: as `choose` returned them.
            features: (N, F) of test images.

        Returns:
            By task the (N,) int64 classes.
        """


@dataclass(frozen=True)
class Scores:
    """The results of one subject.

    Attributes:
        metrics: one row per task and evaluation, with `METRIC_COLUMNS`: accuracies in [0, 1], 95 % intervals
            over units, `chosen` as JSON text.
        units: one row per task, evaluation and unit, with `UNIT_COLUMNS`.
    """

    metrics: pd.DataFrame
    units: pd.DataFrame


def choose_all(subject: Subject, evaluations: Sequence[Evaluation]) -> dict[str, dict[str, Choice]]:
    """Makes the choices of all evaluations, without the test split: enough to compare settings.

    Args:
        subject: the encoder.
        evaluations: those that need text are left out where the encoder has no text tower.

    Returns:
        By evaluation and task.

    Raises:
        ConfigError: two evaluations have one name.
    """
    names = [evaluation.name for evaluation in evaluations]
    if len(set(names)) < len(names):
        raise ConfigError(f"evaluations: got {', '.join(names)}; each name must be there once.")
    train, validation = subject.open_train(), subject.open_validation()
    choices = {}
    for evaluation in evaluations:
        if evaluation.needs_text and subject.prompts is None:
            logger.info("%s: no %s, it has no text tower", subject.name, evaluation.name)
            continue
        started = time.monotonic()
        choices[evaluation.name] = evaluation.choose(train, validation, subject.prompts)
        task, headline = next(iter(choices[evaluation.name].items()))
        logger.info(
            "%s: %s of %s %.1f %% on validation images, %.1f s",
            subject.name, evaluation.name, task, 100 * headline.validation, time.monotonic() - started,
        )  # fmt: skip
    return choices


def scores_of_validation_units(
    subject: Subject, evaluation: Evaluation, choices: Mapping[str, Choice]
) -> pd.Series:
    """Returns the mean score of each validation unit on the first task, by unit in rising order.

    Args:
        subject: the encoder.
        evaluation: that chose.
        choices: what it chose, as `choose_all` returned it.
    """
    validation = subject.open_validation()
    task = next(iter(choices))
    predicted = evaluation.score({task: choices[task]}, validation.features)[task]
    known = validation.labels[task] != UNKNOWN
    return mean_per_unit(
        predicted[known] == validation.labels[task][known], subject.validation_units()[known]
    )


def evaluate(subject: Subject, evaluations: Sequence[Evaluation], num_bootstrap: int, seed: int) -> Scores:
    """Chooses with every evaluation, then opens the test split and scores it once.

    Args:
        subject: the encoder.
        evaluations: what is asked of it.
        num_bootstrap: resamples of the units behind an interval.
        seed: of the resamples.

    Raises:
        ConfigError: two evaluations have one name.
    """
    choices = choose_all(subject, evaluations)
    metrics: list[dict[str, object]] = []
    units = [pd.DataFrame(columns=list(UNIT_COLUMNS))]
    if choices:
        test = subject.open_test(choices)
    for evaluation in (each for each in evaluations if each.name in choices):
        predictions = evaluation.score(choices[evaluation.name], test.features)
        for task, choice in choices[evaluation.name].items():
            known = test.labels[task] != UNKNOWN
            correct = predictions[task][known] == test.labels[task][known]
            per_unit = mean_per_unit(correct, test.units[known])
            interval = interval_over_units(per_unit, num_bootstrap, seed)
            key = {
                "arm": subject.name,
                "set": subject.labelled_set.name,
                "task": task,
                "evaluation": evaluation.name,
            }
            units.append(per_unit.reset_index().assign(**key))
            metrics.append(
                {
                    **key,
                    **asdict(interval),
                    "version": evaluation.version,
                    "metric": ACCURACY,
                    "num_images": int(known.sum()),
                    "validation": choice.validation,
                    "chosen": json.dumps(dict(choice.chosen), sort_keys=True),
                }
            )
    return Scores(
        pd.DataFrame(metrics, columns=list(METRIC_COLUMNS)),
        pd.concat(units[1:] or units, ignore_index=True)[list(UNIT_COLUMNS)],
    )
