"""Balances concepts: those that most captions name are sub-sampled to a bound, the rare ones stay whole.

Source: MetaCLIP (arXiv:2309.16671), section 3 and its balance_sampling: a caption that holds concepts c stays
where for one of them a draw is below t / count(c), t being the bound. Their draws come one after the other
from a global generator; here each is a hash of seed, caption and concept. So the result depends on no order,
and captions that were kept are kept again: counts only fall, t / count only rises.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from stablerep.curation.filter import Balanced, Batches, CaptionFilter, CorpusFilter, reason_where
from stablerep.curation.keys import draws, mix, numbers_of_ids
from stablerep.curation.settings import WHERE
from stablerep.curation.words import WordList
from stablerep.errors import check_range


@dataclass(frozen=True)
class Balance(CorpusFilter):
    """Sub-samples the captions of head concepts.

    The score is the smallest, over a caption's concepts, of draw times count: the least bound at which the
    caption stays. 0 without a concept: `listed.Concepts` says what becomes of those.

    Attributes:
        concepts: the list.
        bound: t, captions of a concept that stay on its account; 20,000 for MetaCLIP's 400M.
        seed: of the draws.
    """

    concepts: WordList
    bound: float
    seed: int
    name: ClassVar[str] = "balance"

    def __post_init__(self) -> None:
        """Checks the bound."""
        check_range("curation.filters.Balance.bound", self.bound, 1, where=WHERE)
        check_range("curation.filters.Balance.seed", self.seed, 0, 2**63 - 1, where=WHERE)

    def survey(self, batches: Batches, folder: Path) -> CaptionFilter:
        """Counts every concept; the concepts of each batch are stored on disk for the scores."""
        counts: Counter[str] = Counter()
        paths = []
        for number, batch in enumerate(batches()):
            found = self.concepts.matches(batch)
            counts.update(dict(found["entry"].value_counts().iter_rows()))
            paths.append(folder / f"{number}.parquet")
            found.write_parquet(paths[-1], compression="lz4")
        return _Surveyed(self.concepts, self.bound, self.seed, counts, found=iter(paths))

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `head_concept` where no draw of the caption's concepts lets it stay."""
        return reason_where(score >= self.bound, "head_concept")


@dataclass(frozen=True)
class _Surveyed(Balance):
    """The filter after its survey: every concept is counted.

    Attributes:
        before: captions by concept, all of them.
        after: likewise, those that stay; filled as batches are scored.
        found: where the concepts of each batch lie.
    """

    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    found: Iterator[Path] = iter(())

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Returns the least bounds at which captions stay."""
        found = pl.read_parquet(next(self.found))
        numbers = numbers_of_ids(captions["caption_id"])[found["place"].to_numpy()]
        keys = {entry: _number_of(entry, self.seed) for entry in found["entry"].unique().to_list()}
        entries = found["entry"].replace_strict(keys, return_dtype=pl.UInt64).to_numpy() if keys else numbers
        counts: Any = (
            found["entry"].replace_strict(dict(self.before), return_dtype=pl.Float64) if keys else []
        )
        # below its bound a concept stays whole, whatever the draw
        needed = np.where(
            np.asarray(counts) <= self.bound, 0.0, draws(mix(numbers ^ entries)) * np.asarray(counts)
        )
        found = found.with_columns(pl.Series("needed", needed, dtype=pl.Float64))
        least = found.group_by("place").agg(pl.col("needed").min())
        places = pl.DataFrame({"place": pl.Series(range(len(captions)), dtype=pl.UInt32)})
        scores = places.join(least, on="place", how="left", maintain_order="left")["needed"].fill_null(0.0)
        self._count(captions, found, scores)
        return scores

    def _count(self, captions: pl.DataFrame, found: pl.DataFrame, scores: pl.Series) -> None:
        stays = (scores < self.bound) | captions["protected"]
        per = found.filter(stays.gather(found["place"]))["entry"].value_counts()
        self.after.update(dict(per.iter_rows()))

    def balanced(self) -> Balanced:
        """Returns the counts of every concept, after the last batch was scored."""
        names = sorted(self.before, key=lambda each: (-self.before[each], each))
        rows = [(name, self.before[name], self.after[name]) for name in names]
        types = {"entry": pl.String, "before": pl.Int64, "after": pl.Int64}
        return Balanced(pl.DataFrame(rows, types, orient="row"), self.bound)


def _number_of(entry: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}:{entry}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
