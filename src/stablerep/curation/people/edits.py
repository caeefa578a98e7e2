"""People's edits of a corpus too large to edit in place: `caption_edits.csv` lays over it.

Columns caption, action, text, reason, who. `caption` is a text as it stands in the captions file or in the
rejects, or a caption's id; `action` is keep, drop or replace; `text` is the new text of a replacement and
empty otherwise. A caption that people keep passes the filters' bounds. What was taken down, an exact
duplicate, and what cannot be read stay out, whatever an edit says.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

import polars as pl

from stablerep.caption_ids import caption_id_of
from stablerep.curation.filter import CaptionFilter, CaptionRewriter
from stablerep.curation.people.takedowns import in_words_of_rejects
from stablerep.curation.reading.csv_lines import Row, decode_csv, split_csv
from stablerep.errors import DataError

COLUMNS = ("caption", "action", "text", "reason", "who")
KEEP, DROP, REPLACE = "keep", "drop", "replace"
ACTIONS = (KEEP, DROP, REPLACE)
_ID = re.compile(r"c-[0-9a-f]{16}")  # stablerep.caption_ids.caption_id_of
_MEND = "Mend the line in {path}."


@dataclass(frozen=True)
class Edit:
    """One line of the file; see the module."""

    line: int
    caption: str
    action: str
    text: str
    reason: str
    who: str

    def fault(self) -> str | None:
        """Returns what is wrong with it by itself, None where nothing is."""
        for name in ("caption", "reason", "who"):
            if not getattr(self, name).strip():
                return f"{name}: is empty; must be told"
        if self.action not in ACTIONS:
            return f"action: got {self.action!r}; must be one of {', '.join(ACTIONS)}"
        if self.action == REPLACE and not self.text.strip():
            return "text: is empty; must be the new text of a replacement"
        if self.action != REPLACE and self.text.strip():
            return f"text: got {self.text!r}; must be empty where the action is {self.action}"
        return None


class Edited(NamedTuple):
    """A batch after the edits: what goes on, what is rejected with filter, reason and score, and a count."""

    captions: pl.DataFrame
    rejected: pl.DataFrame
    num_replaced: int


def read_edits(path: Path) -> list[Edit]:
    """Reads the edits; a missing file holds none.

    Raises:
        DataError: the file is unreadable or malformed, or a line is no edit; the line is named.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); must be a CSV file.") from error
    rows = split_csv(path, decode_csv(path, data))
    names = [name.strip() for name in rows[0].fields] if rows else []
    if sorted(names) != sorted(COLUMNS):
        raise DataError(
            f"{path}: line 1: got the columns {', '.join(map(repr, names)) or 'none'}; "
            f"must be {','.join(COLUMNS)}. Mend the header."
        )
    return [_edit(path, names, row) for row in rows[1:]]


def _edit(path: Path, names: list[str], row: Row) -> Edit:
    if len(row.fields) != len(names):
        raise DataError(
            f"{path}: line {row.line}: got {len(row.fields)} fields; must be {len(names)}. "
            "Put a text that holds commas in double quotes."
        )
    values = {name: value.strip() for name, value in zip(names, row.fields, strict=True)}
    edit = Edit(line=row.line, **values)
    fault = edit.fault()
    if fault is not None:
        raise DataError(f"{path}: line {row.line}: {fault}. {_MEND.format(path=path.name)}")
    return edit


@dataclass
class Edits:
    """Lays edits over captions whose ids are final.

    Attributes:
        edits: as `read_edits` gives them.
        path: of the file, for messages.
        name: stands in the rejects' column `filter`.
    """

    edits: Sequence[Edit]
    path: Path
    name: ClassVar[str] = "edits"
    _found: set[int] = field(default_factory=set)
    _by_id: dict[str, Edit] = field(default_factory=dict)
    _new_texts: dict[int, str] = field(default_factory=dict)
    _rejected_early: dict[int, str] = field(default_factory=dict)

    def prepare(self, steps: Sequence[CaptionFilter | CaptionRewriter]) -> None:
        """Brings the texts of the file into the form that captions have when they are edited.

        Args:
            steps: what captions pass before; a new text must pass them too.

        Raises:
            DataError: two edits are of one caption, one writes what another edits, or a new text has a fault.
        """
        self._by_id = self._by_final_id(steps)

    def see(self, ids: Iterable[str], rejected_by: str | None = None) -> None:
        """Notes which edits are of captions that were read.

        Args:
            ids: of captions that came as far as the edits, taken down or not, or of rejected ones.
            rejected_by: the filter that rejected them before.
        """
        for each in ids:
            edit = self._by_id.get(each)
            if edit is not None and rejected_by is None:
                self._found.add(edit.line)
            elif edit is not None:
                self._rejected_early[edit.line] = str(rejected_by)

    def apply(self, captions: pl.DataFrame) -> Edited:
        """Edits a batch: columns caption_id, text and protected among its."""
        edits = [self._by_id.get(each) for each in captions["caption_id"].to_list()]
        actions = pl.Series("action", [edit.action if edit else None for edit in edits], dtype=pl.String)
        if not actions.is_not_null().any():
            return Edited(captions, captions.clear(), 0)
        gone = actions.is_in([DROP, REPLACE]).fill_null(False)
        reasons = pl.Series("reason", [_reason(edit) for edit in edits], dtype=pl.String)
        marks = (pl.lit(self.name).alias("filter"), reasons, pl.lit(None, pl.Float64).alias("score"))
        rejected = captions.with_columns(*marks).filter(gone)
        texts = [self._new_texts.get(edit.line) if edit else None for edit in edits]
        new_ids = [caption_id_of(text) if text is not None else None for text in texts]
        captions = captions.with_columns(
            pl.coalesce(pl.Series(texts, dtype=pl.String), pl.col("text")).alias("text"),
            pl.coalesce(pl.Series(new_ids, dtype=pl.String), pl.col("caption_id")).alias("caption_id"),
            pl.col("protected") | (actions == KEEP).fill_null(False),
        ).filter((actions != DROP).fill_null(True))
        return Edited(captions, rejected, int((actions == REPLACE).sum()))

    def check_all_found(self) -> None:
        """Checks, after the last batch, that every edit found its caption.

        Raises:
            DataError: some did not; their lines are named.
        """
        lost = [edit for edit in self.edits if edit.line not in self._found]
        if lost:
            shown = "; ".join(f"line {edit.line}: {edit.caption!r}: {self._why(edit)}" for edit in lost[:5])
            more = f"; and {len(lost) - 5} more" if len(lost) > 5 else ""
            raise DataError(
                f"{self.path}: {shown}{more}; must be a text or an id of the captions read. "
                "Mend the line, or remove it."
            )

    def _why(self, edit: Edit) -> str:
        rejected_by = self._rejected_early.get(edit.line)
        if rejected_by is None:
            return "no such caption"
        return f"the filter {rejected_by} rejects it before any edit; mend it in the captions file"

    def _by_final_id(self, steps: Sequence[CaptionFilter | CaptionRewriter]) -> dict[str, Edit]:
        by_id: dict[str, Edit] = {}
        rewriters = [step for step in steps if isinstance(step, CaptionRewriter)]
        for edit in self.edits:
            known = _ID.fullmatch(edit.caption)
            key = edit.caption if known else caption_id_of(_rewritten(edit.caption, rewriters))
            if key in by_id:
                raise DataError(
                    f"{self.path}: line {edit.line}: edits the caption of line {by_id[key].line} again; "
                    "must be one "
                    "line a caption. Remove one of the two."
                )
            by_id[key] = edit
        for edit in self.edits:
            if edit.action != REPLACE:
                continue
            self._new_texts[edit.line] = self._passed(edit, steps)
            other = by_id.get(caption_id_of(self._new_texts[edit.line]))
            # a caption may be written anew in other letters
            if other is not None and other is not edit and other.action != KEEP:
                raise DataError(
                    f"{self.path}: line {edit.line}: writes the caption that line {other.line} edits "
                    f"({other.action}); must be another text. Make one edit of the two."
                )
        return by_id

    def _passed(self, edit: Edit, steps: Sequence[CaptionFilter | CaptionRewriter]) -> str:
        """Returns the new text as the steps leave it."""
        text = edit.text
        for step in steps:
            if isinstance(step, CaptionRewriter):
                text = _rewritten(text, [step])
                continue
            one = pl.DataFrame({"row": [0], "text": [text], "source": [""], "licence": [""], "line": [0]})
            score = step.score(one).cast(pl.Float64).alias("score")
            (fault,) = score.to_frame().select(step.fault(pl.col("score"))).to_series()
            if fault is not None:
                raise DataError(
                    f"{self.path}: line {edit.line}: text: the filter {step.name} rejects {edit.text!r}: "
                    f"{fault}. {_MEND.format(path=self.path.name)}"
                )
        return text


def _reason(edit: Edit | None) -> str | None:
    if edit is None or edit.action == KEEP:
        return None
    return in_words_of_rejects("dropped" if edit.action == DROP else "replaced", edit.reason)


def _rewritten(text: str, rewriters: Sequence[CaptionRewriter]) -> str:
    texts = pl.Series([text], dtype=pl.String)
    for rewriter in rewriters:
        texts = rewriter.rewrite(texts)
    return str(texts[0])
