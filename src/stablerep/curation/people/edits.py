"""People's edits of a corpus that is too large to edit in place: `caption_edits.csv` is applied to it.

Columns caption, action, text, reason, who. `caption` is a text as it stands in the captions file or in the
rejects, or a caption's id; `action` is keep, drop or replace; `text` is the new text of a replacement and
empty otherwise. A caption that people keep is not dropped by the filters' bounds. Captions that were taken
down, exact duplicates and unreadable captions stay out, whatever an edit says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import polars as pl

from stablerep.caption_ids import caption_id_of, is_caption_id
from stablerep.curation.filter import Applied, Step
from stablerep.curation.people.takedowns import TakenDown, in_words_of_rejects
from stablerep.curation.reading.csv_lines import NamedRow, read_file_of_people, read_named_rows
from stablerep.errors import DataError

COLUMNS = ("caption", "action", "text", "reason", "who")
KEEP, DROP, REPLACE = "keep", "drop", "replace"
ACTIONS = (KEEP, DROP, REPLACE)
_KEEPS = "every edit of a caption stays in force"
_FIX = "Fix the line in {path}."


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
                return f"{name}: is empty; must be given"
        if self.action not in ACTIONS:
            return f"action: got {self.action!r}; must be one of {', '.join(ACTIONS)}"
        if self.action == REPLACE and not self.text.strip():
            return "text: is empty; must be the new text of a replacement"
        if self.action != REPLACE and self.text.strip():
            return f"text: got {self.text!r}; must be empty where the action is {self.action}"
        return None


def read_edits(path: Path) -> list[Edit]:
    """Reads the edits.

    Raises:
        DataError: the file is missing (an absent file must not bring back what people dropped), unreadable
            or malformed, or a line does not describe an edit; the line is named.
    """
    _, rows = read_named_rows(path, read_file_of_people(path, COLUMNS, _KEEPS), COLUMNS)
    return [_edit(path, row) for row in rows]


def _edit(path: Path, row: NamedRow) -> Edit:
    edit = Edit(line=row.line, **row.values)
    fault = edit.fault()
    if fault is not None:
        raise DataError(f"{path}: line {row.line}: {fault}. {_FIX.format(path=path.name)}")
    return edit


@dataclass
class Edits(Step):
    """Applies edits to captions whose ids are final.

    Attributes:
        edits: as `read_edits` gives them.
        path: of the file, for messages.
        name: the value of the rejects' column `filter`.
    """

    edits: Sequence[Edit]
    path: Path
    name: ClassVar[str] = "edits"
    _takedowns: TakenDown | None = None
    _found: set[int] = field(default_factory=set)
    _by_id: dict[str, Edit] = field(default_factory=dict)
    _new_texts: dict[int, str] = field(default_factory=dict)
    _rejected_early: dict[int, str] = field(default_factory=dict)

    def prepare(self, steps: Sequence[Step], takedowns: TakenDown | None = None) -> None:
        """Brings the texts of the file into the form that captions have when they are edited.

        Args:
            steps: those before the edits; a new text must pass them too.
            takedowns: a new text may be one that was taken down.

        Raises:
            DataError: two edits are of one caption, one writes what another edits, or a new text has a fault.
        """
        self._takedowns = takedowns
        self._by_id = self._by_final_id(steps)

    def see(self, ids: Iterable[str], rejected_by: str | None = None) -> None:
        """Records which edits found their caption.

        Args:
            ids: of captions that reached the edits, taken down or not, or of rejected ones.
            rejected_by: the filter that rejected them before.
        """
        for each in ids:
            edit = self._by_id.get(each)
            if edit is not None and rejected_by is None:
                self._found.add(edit.line)
            elif edit is not None:
                self._rejected_early[edit.line] = str(rejected_by)

    def apply(self, captions: pl.DataFrame) -> Applied:
        """Edits a batch, and rejects new texts that were taken down."""
        edited = self._edit(captions)
        if not edited.num_replaced or self._takedowns is None:
            return edited
        taken = self._takedowns.reject(edited.captions)
        if taken.rejected.is_empty():
            return edited
        rejected = pl.concat([edited.rejected, taken.rejected])
        return edited._replace(captions=taken.captions, rejected=rejected)

    def _edit(self, captions: pl.DataFrame) -> Applied:
        edits = [self._by_id.get(each) for each in captions["caption_id"].to_list()]
        actions = pl.Series("action", [edit.action if edit else None for edit in edits], dtype=pl.String)
        if not actions.is_not_null().any():
            return Applied(captions, captions.clear())
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
        return Applied(captions, rejected, int((actions == REPLACE).sum()))

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
                "Fix the line, or remove it."
            )

    def _why(self, edit: Edit) -> str:
        rejected_by = self._rejected_early.get(edit.line)
        if rejected_by is None:
            return "no such caption"
        return f"the filter {rejected_by} rejects it before any edit; fix it in the captions file"

    def _by_final_id(self, steps: Sequence[Step]) -> dict[str, Edit]:
        by_id: dict[str, Edit] = {}
        rewriters = [step for step in steps if step.rewrites]
        for edit in self.edits:
            key = edit.caption
            if not is_caption_id(key):
                key = caption_id_of(self._passed(edit, edit.caption, rewriters))
            if key in by_id:
                raise DataError(
                    f"{self.path}: line {edit.line}: edits the caption of line {by_id[key].line} again; "
                    "must be one line per caption. Remove one of the two."
                )
            by_id[key] = edit
        for edit in self.edits:
            if edit.action != REPLACE:
                continue
            self._new_texts[edit.line] = self._passed(edit, edit.text, steps)
            other = by_id.get(caption_id_of(self._new_texts[edit.line]))
            # a caption may be replaced by itself in other letters
            if other is not None and other is not edit and other.action != KEEP:
                raise DataError(
                    f"{self.path}: line {edit.line}: writes the caption that line {other.line} edits "
                    f"({other.action}); must be another text. Merge the two edits."
                )
        return by_id

    def _passed(self, edit: Edit, text: str, steps: Sequence[Step]) -> str:
        """Returns a text of the file as the steps leave it."""
        one = {"row": [0], "text": [text], "source": [""], "licence": [""], "line": [0]}
        captions = pl.DataFrame({**one, "protected": [False]})
        for step in steps:
            captions, rejected, _ = step.apply(captions)
            if len(rejected):
                raise DataError(
                    f"{self.path}: line {edit.line}: text: the filter {step.name} rejects {text!r}: "
                    f"{rejected['reason'][0]}. {_FIX.format(path=self.path.name)}"
                )
        return str(captions["text"][0])


def _reason(edit: Edit | None) -> str | None:
    if edit is None or edit.action == KEEP:
        return None
    return in_words_of_rejects("dropped" if edit.action == DROP else "replaced", edit.reason)
