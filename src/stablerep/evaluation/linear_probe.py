"""Linear probe: logistic regression on frozen, standardised features (arXiv:2306.00984, section 4).

The strength of its L2 penalty is chosen for each task on the validation images; of equals the strongest.
It is not fitted again on both splits: the score that chose it stays that of the very same probe. The authors'
code chooses the probe's learning rate on the test set; here the test set is scored once, after the choice.
Legend: N images, F features.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from stablerep.evaluation.evaluation import Choice, Evaluation, check_several_classes
from stablerep.evaluation.standardiser import Standardiser
from stablerep.evaluation.subject import Prompts, Split, Unlabelled
from stablerep.settings import Settings, Values

if TYPE_CHECKING:
    from stablerep.evaluation.logistic_regression import LinearClassifier


class LinearProbeSettings(Settings):
    """Settings of the linear probe."""

    section: ClassVar[str] = "evaluation.linear_probe"

    inverse_strengths: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Values] = Field(
        default=(0.001, 0.01, 0.1, 1.0),
        min_length=1,
        description="values of scikit-learn's C, the inverse strength of the penalty; one is chosen per task",
    )
    # Measured on the default experiment's four tasks: accuracies end within 0.3 points of the optimum, those
    # of chosen probes within 0.1. 1e-5 takes two thirds of the time; raw pixels end 1.2 points away at C = 1.
    tolerance: float = Field(
        default=1e-6,
        gt=0,
        le=1e-2,
        description="a fit ends where a step would lower the loss by less than this, in nats per image",
    )


_DEFAULT = LinearProbeSettings()


class LinearProbe(Evaluation):
    """Accuracy of a linear classifier on frozen features.

    Args:
        inverse_strengths: see `LinearProbeSettings`.
        tolerance: likewise.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "linear_probe"
    version = 1

    def __init__(
        self,
        inverse_strengths: Sequence[float] = _DEFAULT.inverse_strengths,
        tolerance: float = _DEFAULT.tolerance,
    ) -> None:
        self.settings = LinearProbeSettings(inverse_strengths=tuple(inverse_strengths), tolerance=tolerance)

    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Fits one probe per value of C and keeps the best on the validation images.

        Raises:
            DataError: the train images of a task are all of one class.
        """
        from stablerep.evaluation.logistic_regression import fit_classifiers

        check_several_classes(self.name, train)
        choices: dict[str, Choice] = {}
        for features, known in train.labelled_together():
            standardise = Standardiser(features)
            x_validation = standardise(validation.features)
            fits = fit_classifiers(
                standardise(features), known, self.settings.inverse_strengths, self.settings.tolerance
            )
            for c, classifiers in fits:  # from the strongest penalty to the weakest
                for task, classifier in classifiers.items():
                    accuracy = validation.accuracy(task, classifier.predict(x_validation))
                    if task not in choices or accuracy > choices[task].validation:
                        state = (standardise, classifier)
                        choices[task] = Choice(accuracy, {"inverse_strength": c}, state)
        return {task: choices[task] for task in train.tasks}

    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        """Predicts with the probe that was kept for each task."""
        return {
            task: classifier.predict(features) for task, classifier, features in standardised(choices, images)
        }


def standardised(
    choices: Mapping[str, Choice], images: Unlabelled
) -> Iterator[tuple[str, "LinearClassifier", np.ndarray]]:
    """Yields each task, its classifier, and the (N, F) features as the classifier takes them.

    Args:
        choices: of a `LinearProbe`.
        images: to classify.
    """
    standard: dict[int, np.ndarray] = {}
    for task, choice in choices.items():
        standardise, classifier = choice.state
        if id(standardise) not in standard:
            standard[id(standardise)] = standardise(images.features)
        yield task, classifier, standard[id(standardise)]
