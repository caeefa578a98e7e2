"""Does an image show what its caption says? The accuracy of a classifier that was trained on real images.

The classifier is a linear probe on the extractor's features of the reference set's train split, its penalty
chosen on the validation split (`stablerep.evaluation.linear_probe`). An image is right if the classifier
sees the class that its caption names; captions that name none are left out. The classifier's own errors limit
the figure: the reference's row shows its accuracy on real images.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stablerep.evaluation.evaluation import Choice
from stablerep.evaluation.labelled_set import UNKNOWN
from stablerep.evaluation.linear_probe import LinearProbe
from stablerep.evaluation.subject import Split, Unlabelled
from stablerep.image_set_metrics.metric import Comparison, Context, Measured, SetMetric


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fitted probe.

    Attributes:
        probe: predicts.
        choices: what it chose, by task.
    """

    probe: LinearProbe
    choices: Mapping[str, Choice]


class LabelAccuracy(SetMetric):
    """The share of images that show the class of their caption, by task.

    Args:
        inverse_strengths: see `stablerep.evaluation.linear_probe.LinearProbeSettings`.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "label_accuracy"
    version = 1

    def __init__(self, inverse_strengths: Sequence[float] = (0.001, 0.01, 0.1, 1.0)) -> None:
        self.probe = LinearProbe(inverse_strengths)

    def prepare(self, context: Context) -> Classifier:
        """Fits the classifier on the real images.

        Raises:
            DataError: the train images of a task are all of one class.
        """
        train, validation = (_split(context, split) for split in ("train", "validation"))
        return Classifier(self.probe, self.probe.choose(train, validation, None))

    def measure(self, comparison: Comparison, prepared: Classifier) -> Iterator[Measured]:
        """Yields `label_accuracy.<task>` for each task of which captions name a class."""
        context, sample = comparison.context, comparison.sample
        predicted = prepared.probe.score(prepared.choices, Unlabelled(context.features(sample)))
        for task, classes in predicted.items():
            known = sample.labels[task] != UNKNOWN
            right = np.where(known, classes == sample.labels[task], np.nan)
            yield from comparison.means(f"{self.name}.{task}", right, context.extractor.name)


def _split(context: Context, split: str) -> Split:
    sample = context.splits[f"{context.labelled.name}.{split}"]
    return Split(context.features(sample), sample.labels, context.labelled.tasks)
