"""The protocol of an evaluation: choices on train and validation images, then one look at the test images.

An evaluation asks something of a frozen encoder. It makes every choice in `choose`, which is given the train
and validation split, and predicts in `score`, which is given the test images, never their labels. `measure`
compares the predictions with the labels, by one or several metrics. Only `evaluate` opens the test split,
after all evaluations have chosen.
Legend: N images, F features, E repeats, K means that a metric is a function of.
"""

import json
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from stablerep.errors import ConfigError, DataError
from stablerep.evaluation.bootstrap import (
    Interval,
    interval_of_function,
    interval_over_units,
    interval_over_units_and_repeats,
    mean_per_unit,
    means_per_unit,
)
from stablerep.evaluation.subject import Prompts, Split, Subject, TestSplit, Unlabelled

logger = logging.getLogger(__name__)

ACCURACY = "accuracy"
METRIC_COLUMNS = (
    "arm", "set", "task", "evaluation", "version", "metric", "value", "low", "high", "num_units",
    "num_images", "validation", "chosen",
)  # fmt: skip
UNIT_COLUMNS = ("arm", "set", "task", "evaluation", "metric", "unit", "score")


@dataclass(frozen=True)
class Choice:
    """What an evaluation chose for one task.

    Attributes:
        validation: the first metric on the validation images, usually an accuracy in [0, 1].
        chosen: the settings that the validation images decided, by name; empty where there is nothing to
            choose.
        state: what `score` needs, for instance a fitted classifier.
    """

    validation: float
    chosen: Mapping[str, float | int | str]
    state: Any


@dataclass(frozen=True)
class Measured:
    """One metric of a task.

    Attributes:
        scores: (N,) of each image: the metric is their mean over units. Or (N, E) of E repeats, such as
            episodes: the metric is the mean over units and repeats, and its interval resamples both. Or
            (N, K), where the metric is a function of K means.
        of_means: that function, which maps (..., K) means to (...) values, for instance a calibration error
            of K bins. Such a metric has an interval, but no score of each unit.
    """

    scores: np.ndarray
    of_means: Callable[[np.ndarray], np.ndarray] | None = None

    def per_unit(self, units: np.ndarray) -> pd.Series:
        """Returns the mean score of each unit, also over repeats if there are any.

        Args:
            units: (N,) of the images.

        Raises:
            ValueError: the metric is a function of means.
        """
        if self.of_means is not None:
            raise ValueError("a metric that is a function of means has no scores of units")
        return mean_per_unit(self.scores if self.scores.ndim == 1 else self.scores.mean(axis=1), units)

    def interval(self, units: np.ndarray, num_bootstrap: int, seed: int) -> Interval:
        """Returns the metric with its interval.

        Args:
            units: (N,) of the images.
            num_bootstrap: resamples.
            seed: of the resamples.
        """
        if self.of_means is not None:
            means_UK = means_per_unit(self.scores, units)
            return interval_of_function(means_UK, self.of_means, num_bootstrap, seed)
        if self.scores.ndim == 1:
            return interval_over_units(self.per_unit(units), num_bootstrap, seed)
        return interval_over_units_and_repeats(means_per_unit(self.scores, units), num_bootstrap, seed)


class Evaluation(ABC):
    """What is asked of a frozen encoder.

    Attributes:
        name: stands in the tables and in the configuration.
        version: of its protocol: whatever changes its numbers, a default too, is a new version.
        needs_text: whether it only applies to encoders with a text tower.
        needs_captions: whether it only applies to evaluation sets whose images have captions.
        ranks_encoders: whether a higher first metric means a better encoder, so that it can choose settings
            such as the guidance scale.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    needs_text: ClassVar[bool] = False
    needs_captions: ClassVar[bool] = False
    ranks_encoders: ClassVar[bool] = True

    def check_train_labels(self, labels: np.ndarray, whose: str) -> None:
        """Looks before the run whether labelled train images suffice; by default any number does.

        Args:
            labels: int64 of a task's train images, those that are known.
            whose: the task and its set, for the message.

        Raises:
            ConfigError: they are too few.
        """
        del labels, whose

    @abstractmethod
    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Makes every choice, for each task.

        Args:
            train: to learn from.
            validation: to choose on.
            prompts: the text side; None for encoders without one.
        """

    @abstractmethod
    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        """Predicts for each task, with what was chosen.

        Args:
            choices: as `choose` returned them.
            images: the N test images.

        Returns:
            By task what `measure` takes, an array of N rows; by default (N,) int64 classes.
        """

    def known(self, split: Split, task: str) -> np.ndarray:
        """Returns (N,) bool: the images whose right answer is known; by default those with a known label."""
        return split.known(task)

    def right(self, split: Split, task: str) -> np.ndarray:
        """Returns the (N,) right answers; by default the int64 labels."""
        return split.labels[task]

    def measure(self, choice: Choice, predicted: np.ndarray, right: np.ndarray) -> dict[str, Measured]:
        """Compares predictions with the right answers; by default by accuracy.

        Args:
            choice: what was chosen for the task.
            predicted: (N, ...) by `score`, for the images whose right answer is known.
            right: (N,) as `right` has it.

        Returns:
            By metric its scores; the first metric is the one that `Choice.validation` states.
        """
        del choice
        return {ACCURACY: Measured(predicted == right)}


def check_several_classes(name: str, train: Split) -> None:
    """Checks that each task has several classes.

    Args:
        name: of the evaluation, for the message.
        train: to learn from.

    Raises:
        DataError: the train images of a task are all of one class.
    """
    for task in train.tasks:
        if len(np.unique(train.labels[task][train.known(task)])) < 2:
            raise DataError(
                f"{name}, task {task!r}: all train images have the same class; there must be at least two "
                "classes. Remove the task or change the split."
            )


@dataclass(frozen=True)
class Scores:
    """The results of one subject.

    Attributes:
        metrics: one row per task, evaluation and metric, with `METRIC_COLUMNS`: 95 % intervals over units,
            `validation` of the first metric alone, `chosen` as JSON text.
        units: one row per task, evaluation, metric and unit, with `UNIT_COLUMNS`, of metrics that are means.
    """

    metrics: pd.DataFrame
    units: pd.DataFrame


def choose_all(subject: Subject, evaluations: Sequence[Evaluation]) -> dict[str, dict[str, Choice]]:
    """Makes the choices of all evaluations, without the test split: enough to compare settings.

    Args:
        subject: the encoder.
        evaluations: those that need text are left out where the encoder has no text tower, those that need
            captions where the set has none.

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
        if (reason := _why_left_out(evaluation, subject)) is not None:
            logger.info("%s: no %s, %s", subject.name, evaluation.name, reason)
            continue
        started = time.monotonic()
        choices[evaluation.name] = evaluation.choose(train, validation, subject.prompts)
        task, headline = next(iter(choices[evaluation.name].items()))
        logger.info(
            "%s: %s of %s %.1f %% on validation images, %.1f s",
            subject.name, evaluation.name, task, 100 * headline.validation, time.monotonic() - started,
        )  # fmt: skip
    return choices


def _why_left_out(evaluation: Evaluation, subject: Subject) -> str | None:
    """Returns why an evaluation does not apply; None where it does."""
    if evaluation.needs_text and subject.prompts is None:
        return "it has no text tower"
    if evaluation.needs_captions and not subject.labelled_set.has_captions:
        return (
            f"the validation and test images of evaluation set {subject.labelled_set.name} must have "
            "captions but have none; columns.caption of the set names their column"
        )
    return None


def scores_of_validation_units(
    subject: Subject, evaluation: Evaluation, choices: Mapping[str, Choice]
) -> pd.Series:
    """Returns the first metric's mean of each validation unit on the first task, by unit in rising order.

    Args:
        subject: the encoder.
        evaluation: that chose.
        choices: what it chose, as `choose_all` returned it.
    """
    validation = subject.open_validation()
    task = next(iter(choices))
    first = {task: choices[task]}
    predicted = evaluation.score(first, validation.unlabelled())[task]
    known = evaluation.known(validation, task)
    right = evaluation.right(validation, task)
    measured = evaluation.measure(choices[task], predicted[known], right[known])
    return next(iter(measured.values())).per_unit(subject.validation_units()[known])


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
        for found in _measured(evaluation, choices[evaluation.name], test):
            key: dict[str, str] = {
                "arm": subject.name,
                "set": subject.labelled_set.name,
                "task": found.task,
                "evaluation": evaluation.name,
                "metric": found.metric,
            }
            if found.of.of_means is None:
                units.append(found.of.per_unit(found.units).reset_index().assign(**key))
            metrics.append(
                {
                    **key,
                    **asdict(found.of.interval(found.units, num_bootstrap, seed)),
                    "version": evaluation.version,
                    "num_images": len(found.units),
                    "validation": found.validation,
                    "chosen": json.dumps(dict(found.chosen), sort_keys=True),
                }
            )
    return Scores(
        pd.DataFrame(metrics, columns=list(METRIC_COLUMNS)),
        pd.concat(units[1:] or units, ignore_index=True)[list(UNIT_COLUMNS)],
    )


@dataclass(frozen=True)
class _OneMetric:
    """A metric of a task on the test images whose labels are known."""

    task: str
    metric: str
    of: Measured
    units: np.ndarray
    validation: float
    chosen: Mapping[str, float | int | str]


def _measured(evaluation: Evaluation, choices: Mapping[str, Choice], test: TestSplit) -> Iterator[_OneMetric]:
    """Predicts once, and yields each task's metrics; the validation's value is the first one's."""
    predictions = evaluation.score(choices, test.unlabelled())
    for task, choice in choices.items():
        known, right = evaluation.known(test, task), evaluation.right(test, task)
        validation = choice.validation
        measured = evaluation.measure(choice, predictions[task][known], right[known])
        for metric, of in measured.items():
            yield _OneMetric(task, metric, of, test.units[known], validation, choice.chosen)
            validation = float("nan")
