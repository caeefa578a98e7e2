"""Robustness: how much a linear probe, fitted and chosen on clean images, loses on corrupted test images.

Legend: N images, K corruptions, each at one strength.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from stablerep.evaluation.corruptions import KINDS, NUM_STRENGTHS, Benchmark, Corruption
from stablerep.evaluation.evaluation import ACCURACY, Choice, Evaluation, Measured
from stablerep.evaluation.linear_probe import LinearProbe, LinearProbeSettings
from stablerep.evaluation.subject import Prompts, Split, Unlabelled

CLEAN = "clean"


class RobustnessSettings(LinearProbeSettings):
    """Settings of the robustness: those of the probe, and which corruptions."""

    section: ClassVar[str] = "evaluation.robustness"

    benchmark: Benchmark = Field(
        "imagenet_c",
        description="whose strengths: imagenet_c for images of 224 px, cifar10_c for images of 32 px",
    )
    seed: int = Field(0, ge=0, description="of the noise; the same for every encoder")


_DEFAULT = RobustnessSettings()


class Robustness(Evaluation):
    """Accuracy of a linear probe on corrupted test images.

    Metrics: `clean`; `accuracy`, the mean over all corruptions and strengths; each corruption by its name,
    the mean over its strengths; and each strength, such as `jpeg_5`.

    Args:
        benchmark: see `RobustnessSettings`.
        seed: likewise.
        inverse_strengths: of the probe, see `LinearProbeSettings`.
        tolerance: likewise.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "robustness"
    version = 1
    ranks_encoders = False  # its first metric is the linear probe's, at the cost of all corruptions

    def __init__(
        self,
        benchmark: Benchmark = _DEFAULT.benchmark,
        seed: int = _DEFAULT.seed,
        inverse_strengths: Sequence[float] = _DEFAULT.inverse_strengths,
        tolerance: float = _DEFAULT.tolerance,
    ) -> None:
        read = RobustnessSettings(
            benchmark=benchmark,
            seed=seed,
            inverse_strengths=tuple(inverse_strengths),
            tolerance=tolerance,
        )
        self.probe = LinearProbe(read.inverse_strengths, read.tolerance)
        self.corruptions = [
            Corruption(kind, strength, read.benchmark, read.seed)
            for kind in KINDS
            for strength in range(1, NUM_STRENGTHS + 1)
        ]

    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Fits the probe on clean train images and chooses its penalty on clean validation images.

        Raises:
            DataError: the train images of a task are all of one class.
        """
        return self.probe.choose(train, validation, prompts)

    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        """Returns by task (N, 1 + K) int64 classes: of clean images, and of each corruption."""
        found = [self.probe.score(choices, images)]
        for corruption in self.corruptions:
            changed = replace(images, features=images.pictures.features_of(corruption))
            found.append(self.probe.score(choices, changed))
        return {task: np.stack([each[task] for each in found], axis=1) for task in choices}

    def measure(self, choice: Choice, predicted: np.ndarray, right: np.ndarray) -> dict[str, Measured]:
        """Returns the metrics of a task; see the class."""
        del choice
        correct = predicted == right[:, None]
        clean, corrupted = correct[:, 0], correct[:, 1:].reshape(len(right), len(KINDS), NUM_STRENGTHS)
        metrics = {CLEAN: clean, ACCURACY: corrupted.mean(axis=(1, 2))}
        metrics |= {kind: corrupted[:, place].mean(axis=1) for place, kind in enumerate(KINDS)}
        for place, corruption in enumerate(self.corruptions):
            metrics[f"{corruption.kind}_{corruption.strength}"] = correct[:, 1 + place]
        return {name: Measured(scores) for name, scores in metrics.items()}
