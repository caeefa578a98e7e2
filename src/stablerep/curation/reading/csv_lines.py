"""Small CSV files that people write: read strictly, each fault reported with its line.

RFC 4180. The takedowns, the edits and the captions of evaluation sets are such files; the captions that are
curated are read by `engine`.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stablerep.curation.reading.encodings import refuse_wide_text
from stablerep.errors import DataError


class Row(NamedTuple):
    """One record and the line on which it starts: quoted fields may span lines."""

    line: int
    fields: list[str]


def _line_of(data: bytes, offset: int) -> int:
    # the same line ends as the CSV reader's: \n, \r\n and the bare \r of old Macs
    before = data[:offset]
    return 1 + before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")


def read_file_of_people(path: Path, columns: Sequence[str], keeps: str) -> bytes:
    """Returns the bytes of a file that people keep in git, even where it has no line but the header.

    Args:
        path: of the file.
        columns: of its header, for the message.
        keeps: what the file ensures, and what would be undone without it.

    Raises:
        DataError: it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); must exist, so that {keeps}. "
            f"Restore it with git, or create a new file with the line {','.join(columns)}."
        ) from error


def decode_csv(path: Path, data: bytes) -> str:
    """Decodes UTF-8; a byte order mark is skipped.

    Raises:
        DataError: other bytes; the first fault is named by line and byte.
    """
    refuse_wide_text(path, data)
    nul = data.find(b"\x00")
    if nul >= 0:
        raise DataError(
            f"{path}: line {_line_of(data, nul)}, byte {nul + 1}: a NUL byte; must be text in UTF-8. "
            "Remove it, or save the file as UTF-8."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # with a byte order mark the codec counts from after it
        offset = error.start + (len(data) - len(error.object))
        raise DataError(
            f"{path}: line {_line_of(data, offset)}, byte {offset + 1}: got 0x{data[offset]:02x}, "
            "which is not UTF-8. Save the file as UTF-8."
        ) from error


def split_csv(path: Path, text: str) -> list[Row]:
    """Splits CSV into records; blank lines are skipped.

    Raises:
        DataError: a record is malformed.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    start = 1
    try:
        for fields in reader:
            if fields:
                rows.append(Row(start, fields))
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}: line {start}: the record that starts here is malformed ({error}). Close every "
            'quote, double the quotes inside a quoted caption ("a ""nice"" nine").'
        ) from error
    return rows


class NamedRow(NamedTuple):
    """One record: the line on which it starts, and its values by column, without space around them."""

    line: int
    values: dict[str, str]


def read_named_rows(path: Path, data: bytes, columns: Sequence[str]) -> tuple[list[str], list[NamedRow]]:
    """Reads a file with a header that names exactly the given columns, in any order.

    Args:
        path: of the file, for messages.
        data: its bytes.
        columns: the names.

    Returns:
        The names in the file's order, and the records.

    Raises:
        DataError: the bytes are not UTF-8 or not CSV, the header has other columns, or a record has more or
            fewer fields than the header; the line is named.
    """
    rows = split_csv(path, decode_csv(path, data))
    names = [name.strip() for name in rows[0].fields] if rows else []
    if sorted(names) != sorted(columns):
        raise DataError(
            f"{path}: line 1: got the columns {', '.join(map(repr, names)) or 'none'}; "
            f"must be {','.join(columns)}. Fix the header."
        )
    return names, [_named(path, names, row) for row in rows[1:]]


def _named(path: Path, names: list[str], row: Row) -> NamedRow:
    if len(row.fields) != len(names):
        raise DataError(
            f"{path}: line {row.line}: got {len(row.fields)} fields; must be {len(names)}. "
            "Put a text that holds commas in double quotes."
        )
    values = {name: value.strip() for name, value in zip(names, row.fields, strict=True)}
    return NamedRow(row.line, values)
