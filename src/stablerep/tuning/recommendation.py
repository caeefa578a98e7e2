"""What a study recommends: a guidance scale with its interval."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from stablerep.errors import DataError
from stablerep.tuning.guidance import COST, SCALE, STEPS, UNIT_SCORES
from stablerep.tuning.optimum import Estimate, Observations, Optimum, find_optimum, front
from stablerep.tuning.settings import TuningSettings


@dataclass(frozen=True)
class TriedPoint:
    """A point of a study.

    Attributes:
        guidance_scale: of the generator.
        num_inference_steps: of its sampler.
        accuracy: on validation images, with its interval over seeds and units.
        passes_per_image: of the denoising network.
        on_front: whether no other point is as accurate for less, or more accurate for no more; by the fitted
            accuracies.
    """

    guidance_scale: float
    num_inference_steps: int
    accuracy: Estimate
    passes_per_image: float
    on_front: bool


@dataclass(frozen=True)
class Recommendation:
    """The result of a study.

    Attributes:
        optima: number of inference steps -> what the trials with it say.
        points: all that were tried, by scale and steps.
        trials: the complete ones; columns of `guidance.run_study`.
        current: the guidance scale that is set.
    """

    optima: Mapping[int, Optimum]
    points: tuple[TriedPoint, ...]
    trials: pd.DataFrame
    current: float

    def sentences(self) -> list[str]:
        """Returns what to read, a sentence for each number of steps, and one for the front."""
        said = []
        for steps, optimum in self.optima.items():
            which = f"{steps} steps: " if len(self.optima) > 1 else ""
            said.append(which + sentence_of(optimum, self.current))
        if len(self.optima) > 1:
            front_points = sorted(
                (each for each in self.points if each.on_front), key=lambda each: each.passes_per_image
            )
            listed = "; ".join(
                f"{100 * each.accuracy.value:.1f} % ({100 * each.accuracy.low:.1f} to "
                f"{100 * each.accuracy.high:.1f}) for {each.passes_per_image:g} passes at scale "
                f"{each.guidance_scale:.3g} in {each.num_inference_steps} steps"
                for each in front_points
            )
            said.append(f"best accuracy for each cost: {listed}")
        return said

    def to_json(self) -> dict[str, Any]:
        """Returns it without the curves, ready for JSON."""
        return {
            "sentences": self.sentences(),
            "current": self.current,
            "guidance_scale": {str(steps): asdict(each.scale) for steps, each in self.optima.items()},
            "points": [asdict(each) for each in self.points],
        }


def recommend(trials: pd.DataFrame, settings: TuningSettings, current: float) -> Recommendation:
    """Fits a curve for each number of steps; the method is that of `stablerep.tuning.optimum`.

    Args:
        trials: as `guidance.run_study` returns them.
        settings: of the study.
        current: the guidance scale that is set, to be compared.

    Raises:
        DataError: the trials were scored on different numbers of units.
    """
    complete = trials[trials["state"] == "complete"].sort_values([SCALE, STEPS, "seed"], ignore_index=True)
    if complete[UNIT_SCORES].map(len).nunique() != 1:
        raise DataError(
            "guidance study: its trials must be scored on the same validation images. Remove "
            "data/07_model_output/study and run it again."
        )
    optima: dict[int, Optimum] = {}
    for steps, rows in complete.groupby(STEPS):
        observed = Observations(
            rows[SCALE].to_numpy(float),
            rows["seed"].to_numpy(),
            np.array(rows[UNIT_SCORES].tolist(), dtype=float),
        )
        optima[int(str(steps))] = find_optimum(observed, settings.low, settings.high, settings.seeds[0])
    costs = complete.groupby([SCALE, STEPS])[COST].mean()
    keys = [(float(scale), int(steps)) for scale, steps in costs.index]
    accuracies = [optima[steps].accuracy_at(scale) for scale, steps in keys]
    on_front = front([each.value for each in accuracies], costs.tolist())
    points = tuple(
        TriedPoint(*key, accuracy, float(cost), flag)
        for key, accuracy, cost, flag in zip(keys, accuracies, costs, on_front, strict=True)
    )
    return Recommendation(optima, points, complete, current)


def sentence_of(optimum: Optimum, current: float) -> str:
    """Returns, for instance, `guidance scale 3.0 (2.1 to 4.4); no evidence against 2.5`.

    There is evidence against a scale outside of the 95 % interval.
    """
    best = optimum.scale
    low, high = optimum.scales[0], optimum.scales[-1]
    said = f"guidance scale {best.value:.1f} ({best.low:.1f} to {best.high:.1f})"
    ends = [f"{end:g}" for end, reached in ((low, best.low <= low), (high, best.high >= high)) if reached]
    if ends:
        said += f", which reaches {' and '.join(ends)}, the limit of the study"
    if not low <= current <= high:
        return f"{said}; {current:g} is outside the range of the study"
    if current in best:
        return f"{said}; no evidence against {current:g}"
    loss = optimum.loss_at(current)
    return (
        f"{said}; evidence against {current:g}: {100 * loss.value:.1f} points lower "
        f"({100 * loss.low:.1f} to {100 * loss.high:.1f})"
    )
