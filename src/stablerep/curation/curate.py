"""Runs the list of filters over captions, batch by batch; a dropped caption keeps its reason and its score.

Memory holds a batch, and what a filter must remember of each caption, a few bytes. A step that must see the
whole corpus (`Step.surveys`) ends a pass: what is left goes to a Parquet file, the step surveys it, and the
next pass reads it. Kept and rejected captions together are always those that were read, except that a caption
which people replaced is rejected with its old text and goes on with its new one.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from stablerep.caption_ids import caption_id_of
from stablerep.curation.audit import Audit, AuditCounts
from stablerep.curation.filter import Step, split_off
from stablerep.curation.growing_table import GrowingTable
from stablerep.curation.people.edits import Edits
from stablerep.curation.people.takedowns import TakenDown, UnseenSources
from stablerep.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

KEPT_COLUMNS = ["caption_id", "text", "source", "licence", "line"]
REJECTED_COLUMNS = [*KEPT_COLUMNS, "filter", "reason", "score"]
READING = "reading"  # the filter of records that cannot be captions
NUM_EXAMPLES = 10  # rejects of each reason that the page shows
_REJECTED = ["row", *REJECTED_COLUMNS]


@dataclass
class StepFigures:
    """What one filter did.

    Attributes:
        filter: its name.
        num_in: captions that reached it.
        reasons: reason -> number of captions dropped.
        examples: reason -> the first captions dropped: line, source, text, score.
    """

    filter: str
    num_in: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[tuple[int, str, str, float | None]]] = field(default_factory=dict)


@dataclass
class Curation:
    """The result of a curation.

    Attributes:
        folder: holds the Parquet files; the caller's.
        num_read: records of the files.
        num_replaced: captions that people replaced: each is rejected and kept, or rejected again.
        num_kept: captions left.
        steps: by filter, in their order.
        balance: one row per concept: entry, before, after; None without a filter that balances.
        balance_bound: captions of a concept that it aims to keep.
        before: co-occurrences in what was read; None without an audit.
        after: in what was kept.
    """

    folder: Path
    num_read: int = 0
    num_replaced: int = 0
    num_kept: int = 0
    steps: list[StepFigures] = field(default_factory=list)
    balance: pl.DataFrame | None = None
    balance_bound: float | None = None
    before: AuditCounts | None = None
    after: AuditCounts | None = None

    @property
    def num_rejected(self) -> int:
        """Number of rejected captions."""
        return sum(step.reasons.total() for step in self.steps)

    def kept(self) -> pl.LazyFrame:
        """Returns `KEPT_COLUMNS` and a column `score.<filter>` for each filter, in the files' order."""
        return pl.scan_parquet(self.folder / "kept.parquet")

    def rejected(self) -> pl.LazyFrame:
        """Returns row and `REJECTED_COLUMNS`, by pass and then in the files' order."""
        return pl.scan_parquet(self.folder / "rejected.parquet")


def curate(
    batches: Iterable[pl.DataFrame],
    steps: Sequence[Step],
    folder: Path,
    takedowns: TakenDown | None = None,
    edits: Edits | None = None,
    audit: Audit | None = None,
) -> Curation:
    """Runs every filter over what the ones before it kept.

    Takedowns and people's edits are applied behind the last rewriter, where ids are final, and so before
    filters such as the one for duplicates: an equal caption of another source stays.

    Args:
        batches: of `stablerep.curation.reading.engine.SCHEMA`.
        steps: in the order in which they run.
        folder: empty; the tables are written here.
        takedowns: captions that were taken down; no edit brings them back.
        edits: of `caption_edits.csv`.
        audit: counts terms before and after.

    Raises:
        ConfigError: an entry is neither filter nor rewriter, two have the same name, or a rewriter stands
            behind a filter that surveys the corpus.
        DataError: no caption is left, or an edit found no caption.
    """
    _check(steps)
    run = _Run(steps, folder, takedowns, edits, audit)
    curation = run.through(batches)
    _log(curation)
    if not curation.num_kept:
        counts = [f"{reason} ({count})" for step in curation.steps for reason, count in step.reasons.items()]
        raise DataError(
            f"captions: none of {curation.num_read} is left after the filters: "
            f"{', '.join(counts) or 'none was read'}"
            ". Add captions, or loosen curation.filters in conf/params/curation/<name>.yaml."
        )
    return curation


def _check(steps: Sequence[Step]) -> None:
    where = "Set it in conf/params/curation/<name>.yaml."
    names: set[str] = set()
    surveys = False
    for step in steps:
        if not isinstance(step, Step):
            raise ConfigError(
                f"curation.filters: got {step!r}; must be a CaptionFilter or a CaptionRewriter of "
                f"stablerep.curation.filter. {where}"
            )
        surveys |= step.surveys
        if step.rewrites:
            if surveys:
                raise ConfigError(
                    f"curation.filters: {type(step).__name__} rewrites behind a filter that compares "
                    f"captions; rewriters must come first. {where}"
                )
            continue
        if step.name in names:
            raise ConfigError(
                f"curation.filters: more than one filter is named {step.name!r}; names must differ. {where}"
            )
        names.add(step.name)


def _log(curation: Curation) -> None:
    for step in curation.steps:
        for reason, count in step.reasons.items():
            logger.info("filter %s dropped %d captions: %s", step.filter, count, reason)
    logger.info("%d of %d captions kept", curation.num_kept, curation.num_read)


class _Rejects:
    """The table of rejected captions, and the figures of the filters that rejected them."""

    def __init__(self, path: Path, filters: Iterable[str]) -> None:
        self.table = GrowingTable(path)
        self.figures = {name: StepFigures(name) for name in filters}

    def add(self, rejected: pl.DataFrame) -> None:
        """Adds rows with their ids."""
        rejected = rejected.select(_REJECTED).cast(dict(_rejected_schema()))  # type: ignore[arg-type]
        self.table.add(rejected)
        for (name, reason), group in rejected.group_by(["filter", "reason"], maintain_order=True):
            figures, text = self.figures[str(name)], str(reason)
            figures.reasons[text] += len(group)
            shown = figures.examples.setdefault(text, [])
            rows = group.head(NUM_EXAMPLES - len(shown)).select("line", "source", "text", "score").rows()
            shown.extend(rows)

    def close(self) -> None:
        """Finishes the table; without rejects it is an empty one."""
        self.table.close()
        if not self.table.num_rows:
            pl.DataFrame(schema=_rejected_schema()).write_parquet(self.table.path)


class _Run:
    """One run over a list of filters."""

    def __init__(
        self,
        steps: Sequence[Step],
        folder: Path,
        takedowns: TakenDown | None,
        edits: Edits | None,
        audit: Audit | None,
    ) -> None:
        place = max((i for i, step in enumerate(steps, 1) if step.rewrites), default=0)
        people = [each for each in (takedowns, edits) if each is not None]
        # before the ids: rewriters and what stands among them; behind: passes, which surveys start
        self._early = list(steps[:place])
        self._passes = _split([*people, *steps[place:]])
        self._edits, self._audit = edits, audit
        self._unseen = None if takedowns is None else UnseenSources(takedowns.takedowns)
        if edits is not None:
            edits.prepare(self._early, takedowns)
        counted = [step.name for step in [*self._early, *people, *steps[place:]] if not step.rewrites]
        self._rejects = _Rejects(folder / "rejected.parquet", [READING, *counted])
        self._done = Curation(folder, steps=list(self._rejects.figures.values()))
        if audit is not None:
            self._done.before, self._done.after = audit.nothing(), audit.nothing()

    def through(self, batches: Iterable[pl.DataFrame]) -> Curation:
        """Runs all passes."""
        folder, num = self._done.folder, len(self._passes)
        left = self._pass(map(self._arrive, batches), self._passes[0], folder / "pass-0.parquet", num == 1)
        if self._edits is not None:
            self._edits.check_all_found()
        if self._unseen is not None:
            self._unseen.warn()
        for number, steps in enumerate(self._passes[1:], 1):
            work = folder / "survey"
            work.mkdir()
            surveyed = steps[0].survey(left.batches, work)
            before, path = left, folder / f"pass-{number}.parquet"
            left = self._pass(before.batches(), [surveyed, *steps[1:]], path, number == num - 1)
            shutil.rmtree(work)
            before.path.unlink(missing_ok=True)
            balanced = surveyed.balanced()
            if balanced is not None:
                self._done.balance, self._done.balance_bound = balanced
        self._finish(left)
        return self._done

    def _finish(self, left: GrowingTable) -> None:
        self._rejects.close()
        self._done.num_kept = left.num_rows
        if left.num_rows:
            left.path.rename(self._done.folder / "kept.parquet")

    def _arrive(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Takes a batch as it was read to the point where ids are final."""
        self._done.num_read += len(batch)
        if self._unseen is not None:
            self._unseen.see(batch["source"].unique())
        captions = batch.rename({"caption": "text"}).with_columns(pl.lit(False).alias("protected"))
        self._rejects.figures[READING].num_in += len(batch)
        readable = split_off(captions, READING, captions["fault"], None)
        self._reject(readable.rejected)
        captions = readable.captions.drop("fault")
        for step in self._early:
            captions = self._apply(step, captions)
        captions = _with_ids(captions)
        if self._edits is not None:
            self._edits.see(captions["caption_id"])
        if self._audit is not None and self._done.before is not None:
            self._done.before += self._audit.count(captions)
        return captions

    def _pass(
        self, batches: Iterable[pl.DataFrame], steps: Sequence[Step], path: Path, last: bool
    ) -> GrowingTable:
        left = GrowingTable(path)
        for batch in batches:
            captions = batch
            for step in steps:
                captions = self._apply(step, captions)
            if captions.is_empty():
                continue
            left.add(captions.drop("place", strict=False))
            if last and self._audit is not None and self._done.after is not None:
                self._done.after += self._audit.count(captions)
        left.close()
        return left

    def _apply(self, step: Step, captions: pl.DataFrame) -> pl.DataFrame:
        """Applies a step to a batch, stores what it rejects, and returns what goes on."""
        if not step.rewrites:
            self._rejects.figures[step.name].num_in += len(captions)
        applied = step.apply(captions)
        self._done.num_replaced += applied.num_replaced
        self._reject(applied.rejected)
        return applied.captions

    def _reject(self, rejected: pl.DataFrame) -> None:
        if rejected.is_empty():
            return
        if "caption_id" not in rejected.columns:
            rejected = _with_ids(rejected)
            if self._edits is not None:
                self._edits.see(rejected["caption_id"], rejected_by=rejected["filter"][0])
        self._rejects.add(rejected)


def _rejected_schema() -> pl.Schema:
    texts = dict.fromkeys(REJECTED_COLUMNS, pl.String)
    return pl.Schema({"row": pl.Int64, **texts, "line": pl.Int64, "score": pl.Float64})


def _split(steps: Sequence[Step]) -> list[list[Step]]:
    """Divides the steps into passes: each but the first starts with a step that surveys."""
    passes: list[list[Step]] = [[]]
    for step in steps:
        if step.surveys:
            passes.append([])
        passes[-1].append(step)
    return passes


def _with_ids(captions: pl.DataFrame) -> pl.DataFrame:
    ids = [caption_id_of(text) for text in captions["text"].to_list()]
    return captions.with_columns(pl.Series("caption_id", ids, dtype=pl.String))
