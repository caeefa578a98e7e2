"""Takedowns: captions, sources and generators whose images must no longer be made or kept.

A CSV file (RFC 4180) beside the captions file, kept in git, with the columns `what`, `kind`, `reason`, `date`
and `who`. Curation rejects the captions, generation refuses the generators, so that no later run brings
back what was taken down.
"""

import csv
import io
import logging
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar

import pandas as pd
import polars as pl

from stablerep.caption_ids import is_caption_id
from stablerep.curation.filter import Applied, CaptionFilter, split_off
from stablerep.curation.reading.csv_lines import NamedRow, read_file_of_people, read_named_rows
from stablerep.errors import DataError
from stablerep.nearest_name import nearest_name
from stablerep.storage.whole_files import written_whole

logger = logging.getLogger(__name__)

COLUMNS = ("what", "kind", "reason", "date", "who")
CAPTION, SOURCE, GENERATOR = "caption", "source", "generator"
KINDS = (CAPTION, SOURCE, GENERATOR)
_GENERATOR_ID = re.compile(r"[gm]-[0-9a-f]{16}")  # stablerep.generation.diffusion.identity
_MAX_KNOWN_SOURCES = 1000  # of which the nearest to a misspelled one is looked for
_MAX_REASON_LENGTH = 60  # characters of a reject's reason


@dataclass(frozen=True)
class Takedown:
    """One line of the file.

    Attributes:
        what: a caption's id (`c-...`), a generator's (`g-...`) or its model's (`m-...`, whatever the
            settings), or a source as captions name it.
        kind: one of `KINDS`.
        reason: in people's words; the rejects carry it.
        date: on which it was recorded, as 2026-01-31.
        who: recorded it.
    """

    what: str
    kind: str
    reason: str
    date: str
    who: str

    def fault(self) -> str | None:
        """Returns what is wrong with it, None where nothing is."""
        for name, value in zip(COLUMNS, astuple(self), strict=True):
            if not value.strip() or value != value.strip():
                return f"{name}: got {value!r}; must be a text without space around it"
        if self.kind not in KINDS:
            return f"kind: got {self.kind!r}; must be one of {', '.join(KINDS)}"
        if self.kind != kind_of(self.what):
            return f"what: got {self.what!r}, which is a {kind_of(self.what)}; must be a {self.kind}"
        try:
            date.fromisoformat(self.date)
        except ValueError:
            return f"date: got {self.date!r}; must be year, month and day, such as 2026-01-31"
        return None


def kind_of(what: str) -> str:
    """Returns what a text names, by its form: a caption, a generator or, if neither, a source."""
    if is_caption_id(what):
        return CAPTION
    return GENERATOR if _GENERATOR_ID.fullmatch(what) else SOURCE


def read_takedowns(path: Path | str) -> pd.DataFrame:
    """Reads the takedowns.

    Returns:
        Columns `COLUMNS` (str) in the file's order; no rows if nothing was taken down.

    Raises:
        DataError: the file is missing (an absent file must not undo a takedown), unreadable, malformed, or
            a line does not describe a takedown; the line is named.
    """
    path = Path(path)
    _, takedowns = _parse(path, _read(path))
    return _table_of(takedowns)


def no_takedowns() -> pd.DataFrame:
    """Returns the table of nothing taken down."""
    return _table_of([])


def _table_of(takedowns: list[Takedown]) -> pd.DataFrame:
    return pd.DataFrame([astuple(each) for each in takedowns], columns=list(COLUMNS), dtype="str")


def add_takedown(path: Path, takedown: Takedown) -> bool:
    """Adds a line; what stands in the file stays as it is, byte for byte.

    The file is replaced whole, so that a killed process leaves the old one or the new one.

    Returns:
        False if the same thing is taken down already; the file is left as it is then.

    Raises:
        DataError: the file or the takedown is malformed, or the disk refuses; nothing is written then.
    """
    fault = takedown.fault()
    if fault is not None:
        raise DataError(f"takedown of {takedown.what!r}: {fault}.")
    data = _read(path)
    names, known = _parse(path, data)
    if any(each.what == takedown.what and each.kind == takedown.kind for each in known):
        return False
    line = io.StringIO(newline="")
    values = dict(zip(COLUMNS, astuple(takedown), strict=True))
    csv.writer(line, lineterminator="\n").writerow([values[name] for name in names])
    end = b"" if data.endswith((b"\n", b"\r")) else b"\n"
    new = data + end + line.getvalue().encode("utf-8")
    if _parse(path, new)[1] != [*known, takedown]:
        raise DataError(f"takedown of {takedown.what!r}: cannot be written as CSV; must be plain text.")
    _replace(path, new)
    return True


def taken_down(takedowns: pd.DataFrame, kind: str) -> set[str]:
    """Returns the captions, sources or generators that are taken down."""
    return set(takedowns.loc[takedowns["kind"] == kind, "what"])


def reason_of_reject(reason: str) -> str:
    """Returns people's reason as rejects carry it: `Too old` is `taken_down_too_old`."""
    return in_words_of_rejects("taken_down", reason)


def in_words_of_rejects(what: str, reason: str) -> str:
    """Returns an action and people's reason for it in the form of the rejects' reasons."""
    plain = unicodedata.normalize("NFKD", reason).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "_", plain)[:_MAX_REASON_LENGTH].strip("_")
    return f"{what}_{words}" if words else what


class UnseenSources:
    """Sources in the takedowns that no caption has: they may be misspelled.

    A warning and no error: a source whose captions are gone, or that another corpus has, stays in the file.

    Args:
        takedowns: as `read_takedowns` gives them.
    """

    def __init__(self, takedowns: pd.DataFrame) -> None:
        self._unseen = taken_down(takedowns, SOURCE)
        self._known: set[str] = set()

    def see(self, sources: Iterable[str]) -> None:
        """Takes the sources of captions that were read, each once or more often."""
        if not self._unseen:
            return
        there = set(sources)
        self._unseen -= there
        if len(self._known) < _MAX_KNOWN_SOURCES:
            self._known |= there

    def warn(self) -> None:
        """Logs each source that was not seen, after the last caption."""
        for source in sorted(self._unseen):
            near = nearest_name(source, self._known)
            logger.warning(
                "takedown of source %r: no caption that was read has this source, so none is taken "
                "down.%s If it is misspelled, fix its line in data/01_raw/takedowns.csv",
                source,
                f" The nearest source is {near!r}." if near else "",
            )


@dataclass(frozen=True)
class TakenDown(CaptionFilter):
    """Drops captions that were taken down, by themselves or with their source; no edit keeps them.

    Attributes:
        takedowns: as `read_takedowns` gives them.
    """

    takedowns: pd.DataFrame
    name: ClassVar[str] = "takedowns"
    obeys_people: ClassVar[bool] = False

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Returns the place of each caption's takedown in the file, from 1; 0 if there is none."""
        places: dict[str, dict[str, int]] = {CAPTION: {}, SOURCE: {}}
        for number, (kind, what) in enumerate(
            zip(self.takedowns["kind"], self.takedowns["what"], strict=True), 1
        ):
            places.setdefault(kind, {}).setdefault(what, number)
        by_id, by_source = (
            captions[column].replace_strict(places[kind], default=None, return_dtype=pl.Int64)
            for column, kind in (("caption_id", CAPTION), ("source", SOURCE))
        )
        return by_id.fill_null(by_source).fill_null(0)

    def reject(self, captions: pl.DataFrame) -> Applied:
        """Splits off what was taken down without adding the column of scores."""
        scores = self.score(captions)
        return split_off(captions, self.name, self.faults_of(scores), scores)

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns the takedown's reason."""
        reasons = {place: reason_of_reject(each) for place, each in enumerate(self.takedowns["reason"], 1)}
        return score.cast(pl.Int64).replace_strict(reasons, default=None, return_dtype=pl.String)


def _read(path: Path) -> bytes:
    return read_file_of_people(path, COLUMNS, "nothing that was taken down comes back")


def _parse(path: Path, data: bytes) -> tuple[list[str], list[Takedown]]:
    """Returns the names of the columns in the file's order, and its lines."""
    names, rows = read_named_rows(path, data, COLUMNS)
    return names, [_takedown(path, row) for row in rows]


def _takedown(path: Path, row: NamedRow) -> Takedown:
    takedown = Takedown(**row.values)
    fault = takedown.fault()
    if fault is not None:
        raise DataError(f"{path}: line {row.line}: {fault}. Fix the line, or restore the file with git.")
    return takedown


def _replace(path: Path, data: bytes) -> None:
    with written_whole(path, "The file is unchanged. Free some space or fix the permissions.") as beside:
        beside.write_bytes(data)
        beside.chmod(path.stat().st_mode)
