"""The report's table of rejected captions: counts by reason, with examples."""

from collections import Counter
from dataclasses import dataclass

import polars as pl

from stablerep.storage.lazy_tables import parts_of

_NUM_EXAMPLES = 3


@dataclass(frozen=True)
class Rejection:
    """Captions rejected for one reason.

    Attributes:
        filter: which rejected them.
        reason: the fault.
        count: how many.
        examples: (line in the captions file, text) of the first ones.
    """

    filter: str
    reason: str
    count: int
    examples: list[tuple[int, str]]


def count_rejections(rejected: pl.LazyFrame) -> list[Rejection]:
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
