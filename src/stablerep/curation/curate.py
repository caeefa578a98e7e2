"""Runs the list of filters over captions, batch by batch; what is dropped keeps its reason and its score.

Memory holds a batch and what a filter must remember of each caption, a few bytes. A filter that must see the
whole corpus (`CorpusFilter`) ends a pass: what is left goes to a Parquet file, the filter surveys it, and the
next pass reads it. Kept and rejected captions together are those read, always, but that a caption which
people replaced is rejected with its old text and goes on with its new one.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from stablerep.caption_ids import caption_id_of
from stablerep.curation.audit import Audit, AuditCounts
from stablerep.curation.filter import CaptionFilter, CaptionRewriter, CorpusFilter
from stablerep.curation.filters.balance import Surveyed as SurveyedBalance
from stablerep.curation.people.edits import Edits
from stablerep.curation.people.takedowns import TakenDown
from stablerep.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

KEPT_COLUMNS = ["caption_id", "text", "source", "licence", "line"]
REJECTED_COLUMNS = [*KEPT_COLUMNS, "filter", "reason", "score"]
READING = "reading"  # the filter of records that cannot be captions
NUM_EXAMPLES = 10  # rejects of each reason that the page shows
_BATCH_SIZE = 200_000
_REJECTED = ["row", *REJECTED_COLUMNS]
Step = CaptionFilter | CaptionRewriter


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
    """What came of it.

    Attributes:
        folder: holds the Parquet files; the caller's.
        num_read: records of the files.
        num_replaced: captions that people replaced: each is rejected and kept, or rejected again.
        num_kept: captions left.
        steps: by filter, in their order.
        balance: one row a concept: entry, before, after; None without a filter that balances.
        balance_bound: its t.
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
        """Rows of the rejects."""
        return sum(step.reasons.total() for step in self.steps)

    def kept(self) -> pl.LazyFrame:
        """Returns `KEPT_COLUMNS` and a column `score.<filter>` for each filter, in the files' order."""
        return pl.scan_parquet(self.folder / "kept.parquet")

    def rejected(self) -> pl.LazyFrame:
        """Returns row and `REJECTED_COLUMNS`, by pass and then in the files' order."""
        return pl.scan_parquet(self.folder / "rejected.parquet")


class _Table:
    """A Parquet file that grows by batches."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.num_rows = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pl.DataFrame) -> None:
        arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, arrow.schema, compression="lz4")
        self._writer.write_table(arrow)
        self.num_rows += len(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def batches(self) -> Iterator[pl.DataFrame]:
        """Reads it again, with `place`."""
        place = 0
        if self._writer is None:
            return
        # pre-buffering would keep all that was read
        for batch in pq.ParquetFile(self.path, pre_buffer=False).iter_batches(_BATCH_SIZE):
            frame = pl.DataFrame(batch)
            yield frame.with_columns(pl.int_range(place, place + len(frame), dtype=pl.Int64).alias("place"))
            place += len(frame)


def curate(
    batches: Iterable[pl.DataFrame],
    steps: Sequence[Step],
    folder: Path,
    takedowns: TakenDown | None = None,
    edits: Edits | None = None,
    audit: Audit | None = None,
) -> Curation:
    """Runs every filter over what the ones before it kept.

    Takedowns and people's edits stand behind the last rewriter, where ids are final, and so before filters
    such as the one for duplicates: an equal caption of another source stays.

    Args:
        batches: of `stablerep.curation.reading.engine.SCHEMA`.
        steps: in the order in which they run.
        folder: empty; the tables are written here.
        takedowns: what was taken down; no edit brings it back.
        edits: of `caption_edits.csv`.
        audit: is taken before and after.

    Raises:
        ConfigError: an entry is neither filter nor rewriter, two have one name, or a rewriter stands behind a
            filter that surveys the corpus.
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
        if isinstance(step, CaptionRewriter):
            if surveys:
                raise ConfigError(
                    f"curation.filters: {type(step).__name__} rewrites behind a filter that compares "
                    "captions; "
                    f"rewriters must come first. {where}"
                )
        elif isinstance(step, CaptionFilter):
            surveys |= isinstance(step, CorpusFilter)
            if step.name in names:
                raise ConfigError(
                    f"curation.filters: more than one filter is named {step.name!r}; names must differ. "
                    f"{where}"
                )
            names.add(step.name)
        else:
            raise ConfigError(
                f"curation.filters: got {step!r}; must be a CaptionFilter or a CaptionRewriter of "
                f"stablerep.curation.filter. {where}"
            )


def _log(curation: Curation) -> None:
    for step in curation.steps:
        for reason, count in step.reasons.items():
            logger.info("filter %s dropped %d captions: %s", step.filter, count, reason)
    logger.info("%d of %d captions kept", curation.num_kept, curation.num_read)


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
        place = max((i for i, step in enumerate(steps, 1) if isinstance(step, CaptionRewriter)), default=0)
        people: list[CaptionFilter | Edits] = [each for each in (takedowns, edits) if each is not None]
        late = [step for step in steps[place:] if isinstance(step, CaptionFilter)]
        # before the ids: rewriters and what stands among them; behind: passes that surveys open
        self._early = list(steps[:place])
        self._passes = _split([*people, *late])
        self._takedowns, self._edits, self._audit = takedowns, edits, audit
        if edits is not None:
            edits.prepare(self._early)
        self._rejects = _Table(folder / "rejected.parquet")
        names = [
            step.name
            for step in [*self._early, *people, *steps[place:]]
            if not isinstance(step, CaptionRewriter)
        ]
        self._figures = {name: StepFigures(name) for name in [READING, *names]}
        self._done = Curation(folder, steps=list(self._figures.values()))
        if audit is not None:
            self._done.before, self._done.after = audit.nothing(), audit.nothing()

    def through(self, batches: Iterable[pl.DataFrame]) -> Curation:
        """Runs all passes."""
        folder, num = self._done.folder, len(self._passes)
        left = self._pass(map(self._arrive, batches), self._passes[0], folder / "pass-0.parquet", num == 1)
        if self._edits is not None:
            self._edits.check_all_found()
        for number, steps in enumerate(self._passes[1:], 1):
            work = folder / "survey"
            work.mkdir()
            first = steps[0]
            assert isinstance(first, CorpusFilter)  # noqa: S101 -- as `_split` parts them
            surveyed = first.survey(left.batches, work)
            before, path = left, folder / f"pass-{number}.parquet"
            left = self._pass(before.batches(), [surveyed, *steps[1:]], path, number == num - 1)
            shutil.rmtree(work)
            before.path.unlink(missing_ok=True)
            if isinstance(surveyed, SurveyedBalance):
                self._done.balance, self._done.balance_bound = surveyed.table(), surveyed.bound
        self._finish(left)
        return self._done

    def _finish(self, left: _Table) -> None:
        self._rejects.close()
        self._done.num_kept = left.num_rows
        if left.num_rows:
            left.path.rename(self._done.folder / "kept.parquet")
        if not self._rejects.num_rows:
            pl.DataFrame(schema=_rejected_schema()).write_parquet(self._rejects.path)

    def _arrive(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Takes a batch as it was read to the point where ids are final."""
        self._done.num_read += len(batch)
        captions = batch.rename({"caption": "text"}).with_columns(pl.lit(False).alias("protected"))
        self._figures[READING].num_in += len(batch)
        captions = self._part(captions, READING, captions["fault"], None).drop("fault")
        for step in self._early:
            if isinstance(step, CaptionRewriter):
                captions = captions.with_columns(step.rewrite(captions["text"]).alias("text"))
            else:
                captions = self._apply(step, captions)
        captions = _with_ids(captions)
        if self._edits is not None:
            self._edits.see(captions["caption_id"])
        if self._audit is not None and self._done.before is not None:
            self._done.before += self._audit.count(captions)
        return captions

    def _pass(
        self, batches: Iterable[pl.DataFrame], steps: Sequence[CaptionFilter | Edits], path: Path, last: bool
    ) -> _Table:
        left = _Table(path)
        for batch in batches:
            captions = batch
            for step in steps:
                captions = (
                    self._edit(step, captions) if isinstance(step, Edits) else self._apply(step, captions)
                )
            if captions.is_empty():
                continue
            left.add(captions.drop("place", strict=False))
            if last and self._audit is not None and self._done.after is not None:
                self._done.after += self._audit.count(captions)
        left.close()
        return left

    def _apply(self, step: CaptionFilter, captions: pl.DataFrame) -> pl.DataFrame:
        scores = step.score(captions).cast(pl.Float64).alias(f"score.{step.name}")
        self._figures[step.name].num_in += len(captions)
        faults = pl.DataFrame({"score": scores}).select(step.fault(pl.col("score")).alias("fault"))["fault"]
        if step.obeys_people:
            faults = pl.DataFrame({"fault": faults, "protected": captions["protected"]}).select(
                pl.when("protected").then(None).otherwise("fault").alias("fault")
            )["fault"]
        return self._part(captions.with_columns(scores), step.name, faults, scores)

    def _edit(self, edits: Edits, captions: pl.DataFrame) -> pl.DataFrame:
        self._figures[edits.name].num_in += len(captions)
        edited = edits.apply(captions)
        self._done.num_replaced += edited.num_replaced
        self._reject(edited.rejected, edits.name)
        if not edited.num_replaced or self._takedowns is None:
            return edited.captions
        # a new text may be one that was taken down
        scores = self._takedowns.score(edited.captions)
        faults = pl.DataFrame({"score": scores}).select(self._takedowns.fault(pl.col("score"))).to_series()
        return self._part(edited.captions, self._takedowns.name, faults, scores)

    def _part(
        self, captions: pl.DataFrame, name: str, faults: pl.Series, scores: pl.Series | None
    ) -> pl.DataFrame:
        """Splits off what has a fault; returns the others."""
        faulty = faults.is_not_null()
        if not faulty.any():
            return captions
        none = pl.lit(None, pl.Float64)
        marked = captions.with_columns(
            pl.lit(name).alias("filter"),
            faults.alias("reason"),
            (none if scores is None else scores).alias("score"),
        )
        self._reject(marked.filter(faulty), name)
        return captions.filter(~faulty)

    def _reject(self, rejected: pl.DataFrame, name: str) -> None:
        if rejected.is_empty():
            return
        if "caption_id" not in rejected.columns:
            rejected = _with_ids(rejected)
            if self._edits is not None:
                self._edits.see(rejected["caption_id"], rejected_by=name)
        rejected = rejected.select(_REJECTED).cast(dict(_rejected_schema()))  # type: ignore[arg-type]
        self._rejects.add(rejected)
        figures = self._figures[name]
        for (reason,), group in rejected.group_by(["reason"], maintain_order=True):
            text = str(reason)
            figures.reasons[text] += len(group)
            shown = figures.examples.setdefault(text, [])
            rows = group.head(NUM_EXAMPLES - len(shown)).select("line", "source", "text", "score").rows()
            shown.extend(rows)


def _rejected_schema() -> pl.Schema:
    texts = dict.fromkeys(REJECTED_COLUMNS, pl.String)
    return pl.Schema({"row": pl.Int64, **texts, "line": pl.Int64, "score": pl.Float64})


def _split(steps: Sequence[CaptionFilter | Edits]) -> list[list[CaptionFilter | Edits]]:
    """Parts the steps into passes: each but the first starts with a filter that surveys."""
    passes: list[list[CaptionFilter | Edits]] = [[]]
    for step in steps:
        if isinstance(step, CorpusFilter):
            passes.append([])
        passes[-1].append(step)
    return passes


def _with_ids(captions: pl.DataFrame) -> pl.DataFrame:
    ids = [caption_id_of(text) for text in captions["text"].to_list()]
    return captions.with_columns(pl.Series("caption_id", ids, dtype=pl.String))
