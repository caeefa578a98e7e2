"""The paper's claims and two of ours, one by one: what a run compared, and a verdict from its tables.

Which arms belong to a claim follows from the configuration: from their methods, and from what their image
sets override. Every figure is computed from the tables; the verdict on a claim without arms is "not
measured". The best of several settings, such as a guidance scale, is chosen on validation images; arms are
compared on test images.

Source of the claims: arXiv:2306.00984, sections 4 and 5.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from stablerep.evaluation.bootstrap import Interval
from stablerep.image_set_metrics.metric import ALL
from stablerep.reporting.content import GENERATED, MIXTURE
from stablerep.reporting.headline import MIN_SEEDS, bounds, percent, points
from stablerep.reporting.intervals import Resampled
from stablerep.reporting.tables import ACCURACY, LINEAR_PROBE, list_tasks, title_of
from stablerep.reporting.worth_it import say_what_few_seeds_cannot_say
from stablerep.seeding import numpy_generator

ZERO_SHOT = "zero_shot"
HOLDS, FAILS, OPEN, MISSING = "holds", "does not hold", "no clear difference", "not measured"
_STABLEREP, _SIMCLR, _CLIP, _PLUS = "stablerep", "simclr", "clip", "stablerep_plus"
_MIN_SETS = 5  # for a rank correlation


@dataclass(frozen=True)
class Run:
    """A run's tables.

    Attributes:
        metrics: as `ReportContent.metrics`, with `validation`.
        unit_scores: as `ReportContent.unit_scores`.
        arms: the section.
        image_sets: the section.
        seeds: of the run; the first one also seeds the resampling.
        num_bootstrap: resamples behind intervals.
        set_metrics: `image_set`, `metric`, `group` and `value`; empty where image sets were not measured.
        experiment_name: of the configuration.
    """

    metrics: pd.DataFrame
    unit_scores: pd.DataFrame
    arms: Mapping[str, Mapping[str, Any]]
    image_sets: Mapping[str, Mapping[str, Any]]
    seeds: Sequence[int]
    num_bootstrap: int
    set_metrics: pd.DataFrame
    experiment_name: str

    @cached_property
    def tested(self) -> list["Tested"]:
        """The first task of each evaluation set."""
        return [Tested(self, name, tasks[0]) for name, tasks in list_tasks(self.metrics).items()]

    def overrides(self, arm: str) -> dict[str, Any]:
        """Returns the keys that an arm's image set changes, without its source."""
        entry = self.image_sets[str(self.arms[arm]["images"])]
        usual: tuple[Any, ...] = (None, "images", {})  # values of keys that a set leaves out
        return {name: value for name, value in entry.items() if value not in usual and name != "source"}

    def source(self, arm: str) -> str:
        """Returns the source of an arm's image set."""
        return str(self.image_sets[str(self.arms[arm]["images"])]["source"])

    def arms_of(self, method: str) -> list[str]:
        """Returns the arms of a method."""
        return [name for name, arm in self.arms.items() if arm["method"] == method]

    def real_arms(self, method: str) -> list[str]:
        """Returns the arms of a method on images that no generator drew."""
        return [name for name in self.arms_of(method) if self.source(name) not in (GENERATED, MIXTURE)]

    def by_guidance(self, method: str) -> dict[float, str]:
        """Returns guidance scale -> arm, for sets that differ in nothing else."""
        found = {
            float(self.overrides(name)["guidance_scale"]): name
            for name in self.arms_of(method)
            if self.source(name) == GENERATED and set(self.overrides(name)) == {"guidance_scale"}
        }
        return dict(sorted(found.items()))

    def by_images_per_caption(self, fixed_images: bool) -> dict[int, str]:
        """Returns images per caption -> arm, for sets with equal numbers of images or of captions."""
        found = {}
        for name in self.arms:
            own = self.overrides(name)
            has_number = self.source(name) == GENERATED and "images_per_caption" in own
            if has_number and ("num_captions" in own) == fixed_images:
                found[int(own["images_per_caption"])] = name
        return dict(sorted(found.items()))

    def by_dropped_share(self) -> dict[float, str]:
        """Returns share of the images that were dropped for bad alignment -> arm."""
        found = {}
        for name in self.arms:
            policy = self.overrides(name).get("policy") or {}
            if self.source(name) == GENERATED and "drop_share" in policy:
                found[float(policy["drop_share"])] = name
        return dict(sorted(found.items()))


class Tested:
    """The arms' figures on one task of an evaluation set.

    Args:
        run: its tables.
        set_name: the evaluation set.
        task: its task.
    """

    def __init__(self, run: Run, set_name: str, task: str) -> None:
        self.set_name, self.task = set_name, task
        self._metrics, own = (
            table[(table["set"] == set_name) & (table["task"] == task) & (table["metric"] == ACCURACY)]
            for table in (run.metrics, run.unit_scores)
        )
        self._resampled = {
            str(evaluation): Resampled(group, run.num_bootstrap, run.seeds[0])
            for evaluation, group in own.groupby("evaluation", sort=False)
        }

    def interval(self, arm: str, evaluation: str = LINEAR_PROBE) -> Interval | None:
        """Returns an arm's accuracy; None if it was not tested in this way."""
        resampled = self._resampled.get(evaluation)
        return resampled.interval(arm) if resampled is not None and arm in resampled else None

    def difference(self, arm: str, other: str, evaluation: str = LINEAR_PROBE) -> Interval | None:
        """Returns how much more accurate an arm is than another; None if one was not tested in this way."""
        resampled = self._resampled.get(evaluation)
        return None if resampled is None else resampled.difference(arm, other)

    def validation(self, arm: str, evaluation: str = LINEAR_PROBE) -> float:
        """Returns an arm's mean accuracy on validation images."""
        rows = self._metrics[(self._metrics["arm"] == arm) & (self._metrics["evaluation"] == evaluation)]
        return float(rows["validation"].mean())

    def best(self, arms: Sequence[str]) -> str | None:
        """Returns the arm that is best on validation images; None where there is none."""
        return max(arms, key=self.validation, default=None)


@dataclass(frozen=True)
class Comparison:
    """Two arms of a claim on one evaluation set.

    Attributes:
        claim: its letter.
        says: what is claimed.
        set_name: the evaluation set.
        compared: the two arms, and the evaluation.
        difference: the first less the second; None where it was not measured.
    """

    claim: str
    says: str
    set_name: str
    compared: str
    difference: Interval | None

    @property
    def verdict(self) -> str:
        """What the interval says about the claim."""
        if self.difference is None:
            return MISSING
        if self.difference.low > 0:
            return HOLDS
        return FAILS if self.difference.high < 0 else OPEN


def compare(run: Run) -> list[Comparison]:
    """Returns the comparisons of claims a to d, and of g, on each evaluation set."""
    return [each for tested in run.tested for each in _comparisons(run, tested)]


def _comparisons(run: Run, tested: Tested) -> Iterator[Comparison]:
    simclr, stablerep = (tested.best([*run.by_guidance(each).values()]) for each in (_SIMCLR, _STABLEREP))
    clip_real, clip_synthetic = (
        tested.best(run.real_arms(_CLIP)),
        tested.best([each for each in run.arms_of(_CLIP) if run.source(each) == GENERATED]),
    )
    plus = tested.best(run.arms_of(_PLUS))
    alike = None if plus is None else _on_same_images(run, _STABLEREP, plus)
    at_best = "SimCLR on synthetic images at its best guidance is above SimCLR on real ones"
    pairs = [
        ("a", at_best, simclr, tested.best(run.real_arms(_SIMCLR)), LINEAR_PROBE),
        ("b", "StableRep is above SimCLR on synthetic images", stablerep, simclr, LINEAR_PROBE),
        ("c", "StableRep is above CLIP on real images", stablerep, clip_real, LINEAR_PROBE),
        ("c", "StableRep is above CLIP on synthetic images", stablerep, clip_synthetic, LINEAR_PROBE),
        ("d", "StableRep+ is above StableRep", plus, alike, LINEAR_PROBE),
        ("d", "StableRep+ is above CLIP on real images, zero-shot", plus, clip_real, ZERO_SHOT),
        ("d", "StableRep+ is above CLIP on synthetic images, zero-shot", plus, clip_synthetic, ZERO_SHOT),
    ]
    for claim, says, one, other, evaluation in pairs:
        yield _comparison(tested, claim, says, one, other, evaluation)
    dropped = run.by_dropped_share()
    kept = dropped.get(0.0)
    says = "Dropping badly aligned images helps"
    for share, arm in dropped.items():
        if share > 0:
            yield _comparison(tested, "g", f"{says}: the worst {100 * share:g} %", arm, kept, LINEAR_PROBE)
    if not any(dropped):
        yield Comparison("g", says, tested.set_name, "", None)


def _comparison(
    tested: Tested, claim: str, says: str, one: str | None, other: str | None, evaluation: str
) -> Comparison:
    if one is None or other is None:
        return Comparison(claim, says, tested.set_name, "", None)
    compared = f"{title_of(one)} and {title_of(other)}, {title_of(evaluation)}"
    return Comparison(claim, says, tested.set_name, compared, tested.difference(one, other, evaluation))


def _on_same_images(run: Run, method: str, arm: str) -> str | None:
    same = [each for each in run.arms_of(method) if run.arms[each]["images"] == run.arms[arm]["images"]]
    return same[0] if same else None


@dataclass(frozen=True)
class Correlation:
    """The correlation of a metric of image sets with the accuracy of arms that were trained on them.

    Attributes:
        metric: of the sets.
        method: of the arms.
        value: Spearman's rank correlation.
        low: lower end of its 95 % interval, by Fisher's z with the variance 1.06 / (n - 3) (E. C. Fieller,
            H. O. Hartley and E. S. Pearson, Biometrika 44, 1957).
        high: upper end.
        num_sets: n.
        above_alignment: how much the absolute correlation is above that of alignment, with the percentile
            interval over resampled sets; None for alignment itself, and where it was not measured.
    """

    metric: str
    method: str
    value: float
    low: float
    high: float
    num_sets: int
    above_alignment: Interval | None


def correlate(run: Run, tested: Tested, method: str) -> list[Correlation]:
    """Returns the rank correlation of each metric of image sets with the accuracy of a method's arms.

    Left out are sets on which the method was not trained, metrics with equal values for all sets, and
    metrics with values for fewer than five sets.
    """
    if run.set_metrics.empty:
        return []
    whole = run.set_metrics[run.set_metrics["group"] == ALL]
    table = whole.pivot(index="image_set", columns="metric", values="value")
    accuracy = {}
    for arm in run.arms_of(method):
        interval = tested.interval(arm)
        if interval is not None and run.source(arm) == GENERATED:
            accuracy[str(run.arms[arm]["images"])] = interval.value
    table = table.reindex(list(accuracy)).assign(accuracy=list(accuracy.values()))
    found = []
    for metric in table.columns.drop("accuracy"):
        both = table[[metric, "accuracy"]].dropna()
        if len(both) >= _MIN_SETS and both[metric].nunique() > 1 and both["accuracy"].nunique() > 1:
            value = _spearman(both[metric], both["accuracy"])
            low, high = _fisher(value, len(both))
            above = _above_alignment(table, str(metric), run.seeds[0], run.num_bootstrap)
            found.append(Correlation(str(metric), method, value, low, high, len(both), above))
    return sorted(found, key=lambda each: -abs(each.value))


def _spearman(one: pd.Series, other: pd.Series) -> float:
    return float(one.rank().corr(other.rank()))


def _fisher(value: float, num: int) -> tuple[float, float]:
    if abs(value) >= 1:
        return value, value
    half = 1.96 * math.sqrt(1.06 / (num - 3))
    return math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half)


def _above_alignment(table: pd.DataFrame, metric: str, seed: int, num_bootstrap: int) -> Interval | None:
    if metric == "alignment" or "alignment" not in table:
        return None
    rows = table[[metric, "alignment", "accuracy"]].dropna()
    if len(rows) < _MIN_SETS or rows["alignment"].nunique() < 2:
        return None

    def gain(part: pd.DataFrame) -> float:
        return abs(_spearman(part[metric], part["accuracy"])) - abs(
            _spearman(part["alignment"], part["accuracy"])
        )

    rng = numpy_generator("bootstrap over image sets", seed)
    drawn = [gain(rows.iloc[rng.integers(len(rows), size=len(rows))]) for _ in range(num_bootstrap)]
    # a resample of few sets may have equal values only, which have no correlation
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    value = gain(rows)
    return Interval(value, min(float(low), value), max(float(high), value), len(rows))


def claims_markdown(run: Run) -> str:
    """Returns the page: claims with verdicts, then the tables behind e, f and h."""
    lines = [
        "# Claims",
        "",
        "Written by `python -m pipelines.reporting.claims` from the tables of a run of "
        f"`experiment={run.experiment_name}` with {len(run.seeds)} seed{'s' if len(run.seeds) > 1 else ''}. "
        "Differences are in points, with 95 % intervals over test units and seeds, paired by unit. The best "
        "of several settings is chosen on validation images.",
        "",
    ]
    if len(run.seeds) < MIN_SEEDS:
        lines += [say_what_few_seeds_cannot_say(len(run.seeds)), ""]
    lines += ["| claim | on | compared | difference | verdict |", "|---|---|---|---|---|"]
    lines += [
        f"| ({each.claim}) {each.says} | {each.set_name} | {each.compared or '-'} | "
        f"{_told(each.difference)} | {each.verdict} |"
        for each in compare(run)
    ]
    for tested in run.tested:
        lines += ["", f"## {tested.set_name}, {tested.task.replace('_', ' ')}", ""]
        lines += [*_guidance_table(run, tested), "", *_per_caption_table(run, tested), ""]
        lines += _correlation_table(run, tested)
    return "\n".join(lines) + "\n"


def _told(difference: Interval | None) -> str:
    return "-" if difference is None else f"{points(difference.value)} ({bounds(difference, signed=True)})"


def _cell(interval: Interval | None) -> str:
    return "-" if interval is None else f"{percent(interval.value)} ({bounds(interval)})"


def _guidance_table(run: Run, tested: Tested) -> Iterator[str]:
    """(e) Accuracy over the guidance scale."""
    curves = {method: run.by_guidance(method) for method in (_STABLEREP, _SIMCLR)}
    scales = sorted({scale for curve in curves.values() for scale in curve})
    if not scales:
        yield f"(e) Accuracy over the guidance scale: {MISSING}."
        return
    yield "(e) Accuracy over the guidance scale, linear probe, in %; the best on validation images in bold:"
    yield ""
    yield "| guidance | " + " | ".join(map(title_of, curves)) + " |"
    yield "|---|" + "---|" * len(curves)
    best = {method: tested.best([*curve.values()]) for method, curve in curves.items()}
    for scale in scales:
        cells = []
        for method, curve in curves.items():
            arm = curve.get(scale)
            text = "-" if arm is None else _cell(tested.interval(arm))
            cells.append(f"**{text}**" if arm is not None and arm == best[method] else text)
        yield f"| {scale:g} | " + " | ".join(cells) + " |"


def _per_caption_table(run: Run, tested: Tested) -> Iterator[str]:
    """(f) Accuracy over the number of images per caption."""
    columns = {
        "at a fixed number of images": run.by_images_per_caption(fixed_images=True),
        "at a fixed number of captions": run.by_images_per_caption(fixed_images=False),
    }
    numbers = sorted({number for column in columns.values() for number in column})
    if not numbers:
        yield f"(f) Accuracy over images per caption: {MISSING}."
        return
    yield (
        "(f) Accuracy over images per caption, linear probe, in %, and the difference in points to one image "
        "per caption (whose only positives are its own views: SimCLR):"
    )
    yield ""
    yield "| images per caption | " + " | ".join(columns) + " |"
    yield "|---|" + "---|" * len(columns)
    for number in numbers:
        cells = []
        for column in columns.values():
            arm, one = column.get(number), column.get(1)
            text = "-" if arm is None else _cell(tested.interval(arm))
            if arm is not None and one is not None and number > 1:
                text += f"; {_told(tested.difference(arm, one))}"
            cells.append(text)
        yield f"| {number} | " + " | ".join(cells) + " |"


def _correlation_table(run: Run, tested: Tested) -> Iterator[str]:
    """(h) Rank correlation of image-set metrics with accuracy."""
    found = [each for method in (_STABLEREP, _SIMCLR) for each in correlate(run, tested, method)]
    if not found:
        yield f"(h) Rank correlation of metrics of image sets with accuracy: {MISSING}."
        return
    yield (
        "(h) Spearman's rank correlation of metrics of image sets with the accuracy of arms that were "
        "trained on them, and how much stronger it is than that of alignment:"
    )
    yield ""
    yield "| metric | arms of | sets | correlation | above alignment |"
    yield "|---|---|---|---|---|"
    for each in found:
        above = each.above_alignment
        told = "-" if above is None else f"{above.value:+.2f} ({above.low:+.2f} to {above.high:+.2f})"
        yield (
            f"| {each.metric.replace('_', ' ')} | {title_of(each.method)} | {each.num_sets} | "
            f"{each.value:+.2f} ({each.low:+.2f} to {each.high:+.2f}) | {told} |"
        )
