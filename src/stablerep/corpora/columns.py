"""Which column of a table, or key of a record, holds what an image table needs."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stablerep.corpora.corpus import WHERE, label_column
from stablerep.corpora.labels import DEFAULT_TASK
from stablerep.errors import ConfigError, DataError

# what the user names a column for: string, or {task: string} for `label`, or null for "do not read"
ColumnNames = Mapping[str, Any]
FIELDS = ("image", "caption", "label", "split", "key", "unit")


def check_column_names(given: ColumnNames | None) -> None:
    """Raises ConfigError for a field that does not exist."""
    for name in given or {}:
        if name not in FIELDS:
            near = difflib.get_close_matches(str(name), FIELDS, n=1)
            hint = f" The nearest is {near[0]!r}." if near else ""
            raise ConfigError(
                f"corpus.columns.{name}: unknown; it must be one of {', '.join(FIELDS)}.{hint} Set it in "
                f"{WHERE}."
            )


@dataclass(frozen=True)
class ChosenColumns:
    """Columns that are there.

    Attributes:
        fields: field -> column, without `label`.
        labels: task -> column.
    """

    fields: dict[str, str]
    labels: dict[str, str]

    @classmethod
    def of(
        cls, given: ColumnNames | None, usual: Mapping[str, str], there: Collection[str], where: str
    ) -> "ChosenColumns":
        """Chooses columns.

        Args:
            given: by the user; these must be there.
            usual: field -> column that is read where the user says nothing and it is there.
            there: all columns.
            where: the file, for messages.

        Raises:
            DataError: a column that the user names is not there.
        """
        given = given or {}
        fields = {field: column for field, column in usual.items() if field not in given and column in there}
        fields |= {field: str(column) for field, column in given.items() if column and field != "label"}
        labels = given.get("label", usual.get("label") if usual.get("label") in there else None)
        fields.pop("label", None)
        tasks = labels if isinstance(labels, Mapping) else {DEFAULT_TASK: labels} if labels else {}
        chosen = cls(fields, {str(task): str(column) for task, column in tasks.items()})
        for field, column in chosen.all():
            if column not in there:
                near = difflib.get_close_matches(column, list(there), n=1)
                hint = f" The nearest is {near[0]!r}." if near else ""
                raise DataError(
                    f"{where}: has no column {column!r} for the {field}; the columns are "
                    f"{', '.join(map(repr, there))}.{hint} Set corpus.columns.{field} in {WHERE}."
                )
        return chosen

    def all(self) -> list[tuple[str, str]]:
        """Returns every field with its column; `label` once per task."""
        return [*self.fields.items(), *(("label", column) for column in self.labels.values())]

    def copy_into(self, listing: dict[str, Any], table: pd.DataFrame) -> None:
        """Copies captions, labels, splits, keys and units of a table into the columns of a listing."""
        for field in ("split", "key", "unit"):
            if field in self.fields:
                listing[field] = list(table[self.fields[field]])
        if "caption" in self.fields:
            listing["captions"] = [texts_of(cell) for cell in table[self.fields["caption"]]]
        for task, column in self.labels.items():
            listing[label_column(task)] = list(table[column])


def texts_of(cell: Any) -> list[str]:
    """Returns the captions of a cell, which holds a text, several, or none."""
    if isinstance(cell, str):
        return [cell] if cell else []
    if cell is None or isinstance(cell, float):  # NaN, as pandas has it for nothing
        return []
    if isinstance(cell, bytes):
        return texts_of(cell.decode("utf-8", "replace"))
    if isinstance(cell, Mapping):
        raise DataError(
            f"corpus: a caption is {dict(cell)!r}; it must be a text or a list of texts. Choose another "
            f"caption column in {WHERE}."
        )
    return [text for each in cell for text in texts_of(each)]
