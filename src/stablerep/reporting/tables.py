"""The report's tables: arms with intervals and paired differences, rejects by reason, seconds."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import polars as pl

from stablerep.errors import DataError
from stablerep.evaluation.bootstrap import Interval, paired_difference
from stablerep.evaluation.evaluate import KNN, LINEAR_PROBE
from stablerep.storage.lazy_tables import parts_of

METRIC_TITLES = {LINEAR_PROBE: "linear probe", KNN: "nearest neighbours"}
BASELINE = "stablerep"
# no arms of the comparison: what an arm may hope for (drawn) and where it starts from (none)
REFERENCE_SOURCES = ("drawn", "none")
REFERENCE_METHODS = ("supcon",)  # is told the classes that the others must find
_NUM_EXAMPLES = 3
# how the papers write the names that stand in the configuration
_SPELLINGS = {"stablerep": "StableRep", "simclr": "SimCLR", "clip": "CLIP", "supcon": "SupCon"}


@dataclass(frozen=True)
class Cell:
    """One accuracy, in [0, 1].

    Attributes:
        interval: over hands.
        difference: to the baseline on the same hands; None for the baseline.
        validation: on validation hands.
    """

    interval: Interval
    difference: Interval | None
    validation: float

    @property
    def verdict(self) -> str:
        """Whether the difference's interval holds 0: above, below or level; empty for the baseline."""
        if self.difference is None:
            return ""
        if self.difference.low > 0:
            return "above"
        return "below" if self.difference.high < 0 else "level"


@dataclass(frozen=True)
class ArmRow:
    """One arm of the table.

    Attributes:
        arm: its name.
        method: its loss.
        images: what it saw.
        reference: whether it is a reference and no arm of the comparison.
        cells: by metric.
    """

    arm: str
    method: str
    images: str
    reference: bool
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Rejection:
    """Captions dropped for one reason.

    Attributes:
        filter: which dropped them.
        reason: the fault.
        count: how many.
        examples: (line in the captions file, text) of the first ones.
    """

    filter: str
    reason: str
    count: int
    examples: list[tuple[int, str]]


def title_of(name: str) -> str:
    """Returns an arm's or a method's name as people write it: `stablerep_plus` is StableRep+."""
    words = [_SPELLINGS.get(word, word) for word in name.split("_")]
    return " ".join(words).replace(" plus", "+")


def order_of_arms(metrics: pd.DataFrame, attribute: str) -> list[str]:
    """Returns the arms by linear probe accuracy, the best first; references come last.

    Raises:
        DataError: the attribute was not evaluated.
    """
    rows = metrics[(metrics["attribute"] == attribute) & (metrics["metric"] == LINEAR_PROBE)]
    if rows.empty:
        raise DataError(
            f"metrics: got no linear probe of {attribute!r}; must hold one. Run the evaluation again."
        )
    reference = rows["images"].isin(REFERENCE_SOURCES) | rows["method"].isin(REFERENCE_METHODS)
    ordered = rows.assign(reference=reference).sort_values(
        ["reference", "value"], ascending=[True, False], kind="stable"
    )
    return ordered["arm"].tolist()


def baseline_of(metrics: pd.DataFrame, attribute: str) -> str:
    """Returns the arm that the others are compared with: stablerep, or the best where there is none."""
    arms = order_of_arms(metrics, attribute)
    return BASELINE if BASELINE in arms else arms[0]


def rows_by_arm(metrics: pd.DataFrame, attribute: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Returns the rows of one attribute, (arm, metric) -> column -> value."""
    records = metrics[metrics["attribute"] == attribute].to_dict("records")
    rows = [{str(column): value for column, value in record.items()} for record in records]
    return {(row["arm"], row["metric"]): row for row in rows}


def arm_rows(
    metrics: pd.DataFrame,
    hand_scores: pd.DataFrame,
    attribute: str,
    num_bootstrap: int,
    seed: int,
) -> list[ArmRow]:
    """Returns the table of arms for one attribute.

    Args:
        metrics: as `evaluation.evaluate.evaluate_encoders` returns them.
        hand_scores: likewise.
        attribute: what was predicted.
        num_bootstrap: resamples behind the differences.
        seed: of the resamples.
    """
    baseline = baseline_of(metrics, attribute)
    chosen = rows_by_arm(metrics, attribute)
    scores = {
        key: group.set_index("hand_id")["accuracy"]
        for key, group in hand_scores[hand_scores["attribute"] == attribute].groupby(["arm", "metric"])
    }
    rows = []
    for arm in order_of_arms(metrics, attribute):
        cells = {}
        for metric in METRIC_TITLES:
            row = chosen[arm, metric]
            interval = Interval(
                float(row["value"]), float(row["low"]), float(row["high"]), int(row["num_hands"])
            )
            difference = None
            if arm != baseline:
                difference = paired_difference(
                    scores[arm, metric], scores[baseline, metric], num_bootstrap, seed
                )
            cells[metric] = Cell(interval, difference, float(row["validation"]))
        images, method = str(row["images"]), str(row["method"])
        reference = images in REFERENCE_SOURCES or method in REFERENCE_METHODS
        rows.append(ArmRow(arm, method, images, reference, cells))
    return rows


def attribute_table(metrics: pd.DataFrame, headline: str) -> dict[str, dict[str, float]]:
    """Returns linear probe accuracies, arm -> attribute -> value, ordered as the arms' table."""
    rows = metrics[metrics["metric"] == LINEAR_PROBE]
    attributes = list(dict.fromkeys(rows["attribute"]))
    values = rows.set_index(["arm", "attribute"])["value"]
    return {
        arm: {name: float(values[arm, name]) for name in attributes}
        for arm in order_of_arms(metrics, headline)
    }


def rejections(rejected: pl.LazyFrame) -> list[Rejection]:
    """Counts the rejected captions by filter and reason, the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for part in parts_of(rejected):
        for (name, reason), group in part.group_by("filter", "reason", maintain_order=True):
            key = str(name), str(reason)
            counts[key] += len(group)
            shown = examples.setdefault(key, [])
            shown += group.select("line", "text").head(_NUM_EXAMPLES - len(shown)).rows()
    ordered = sorted(counts, key=lambda key: (-counts[key], key))
    return [Rejection(*key, counts[key], examples[key]) for key in ordered]


def stage_rows(seconds: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Returns (stage, seconds, share of the longest) in the order in which stages ran."""
    longest = max(seconds.values(), default=0.0)
    return [(name, value, value / longest if longest else 0.0) for name, value in seconds.items()]
