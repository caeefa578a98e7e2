"""Reads the captions file, the first thing of the flow: what is wrong with it is said by line.

A CSV file (RFC 4180) with a header: the column `caption`, and where people know them `source` and
`licence`; further columns are passed over. Every caption keeps the line on which it starts, so that it
can be traced.
"""

import csv
import difflib
import io
import logging
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from stablerep.errors import DataError

logger = logging.getLogger(__name__)

CAPTION = "caption"
OPTIONAL = ("source", "licence")
UNKNOWN = "unknown"
_HEADER = "caption,source,licence"
_NUM_SHOWN = 5  # faulty lines named in a message; more would bury the first


class Row(NamedTuple):
    """One record and the line on which it starts: quoted fields may span lines."""

    line: int
    fields: list[str]


def read_captions(path: Path | str) -> pd.DataFrame:
    """Reads captions with their source, licence and line.

    Args:
        path: of a UTF-8 CSV file; a byte order mark is passed over, and so are blank lines.

    Returns:
        Columns caption, source, licence (str; "unknown" where the file says nothing) and line (int64,
        2 for a row right under the header), in the file's order. Texts are as they stand in the file.

    Raises:
        DataError: the file is missing, unreadable, empty, not UTF-8, holds NUL bytes, has no header, no
            caption column or one name twice, rows that do not fit the header, or no rows.
    """
    path = Path(path)
    rows = split_csv(path, decode_csv(path, _read(path)))
    if not rows:
        raise DataError(f"{path}: is empty; must start with a header such as {_HEADER}.")
    names = [name.strip() for name in rows[0].fields]
    _check_header(path, names)
    _check_rows(path, names, rows[1:])
    others = [name for name in names if name not in (CAPTION, *OPTIONAL)]
    if others:
        logger.info("%s: columns passed over: %s", path, ", ".join(map(repr, others)))
    return _to_frame(names, rows[1:])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file; must be a CSV file with the header {_HEADER}. "
            "Put your captions there, or draw the embedded ones: "
            "python -m stablerep.corpora.captions_file PATH."
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; must be a CSV file.") from error


def _line_of(data: bytes, offset: int) -> int:
    # the same line ends as the CSV reader's: \n, \r\n and the bare \r of old Macs
    before = data[:offset]
    return 1 + before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")


def decode_csv(path: Path, data: bytes) -> str:
    """Decodes UTF-8; a byte order mark is passed over.

    Raises:
        DataError: other bytes; the first fault is named by line and byte.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: line 1, byte 1: is UTF-16; must be UTF-8. Save it as UTF-8.")
    nul = data.find(b"\x00")
    if nul >= 0:
        raise DataError(
            f"{path}: line {_line_of(data, nul)}, byte {nul + 1}: a NUL byte; must be text in UTF-8. "
            "Remove it, or save the file as UTF-8."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # with a byte order mark the codec counts from behind it
        offset = error.start + (len(data) - len(error.object))
        raise DataError(
            f"{path}: line {_line_of(data, offset)}, byte {offset + 1}: got 0x{data[offset]:02x}, "
            "which is not UTF-8. Save the file as UTF-8."
        ) from error


def split_csv(path: Path, text: str) -> list[Row]:
    """Splits CSV into records; blank lines are none.

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


def _check_header(path: Path, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        shown = ", ".join(map(repr, repeated))
        raise DataError(
            f"{path}: line 1: more than one column is named {shown}; names must differ. Rename one."
        )
    if CAPTION in names:
        return
    near = difflib.get_close_matches(CAPTION, [name.casefold() for name in names], n=1)
    got = ", ".join(map(repr, names))
    if not near and not set(names) & set(OPTIONAL) and any(" " in name for name in names):
        raise DataError(
            f"{path}: line 1: no header: got {got}; must be the columns' names. "
            f"Put the line {_HEADER} (or {CAPTION} alone) above the first caption."
        )
    nearest = [name for name in names if near and name.casefold() == near[0]]
    hint = f" The nearest is {nearest[0]!r}: rename it." if nearest else " Rename yours."
    raise DataError(f"{path}: line 1: no column {CAPTION!r}; the columns are {got}.{hint}")


def _check_rows(path: Path, names: list[str], rows: list[Row]) -> None:
    if not rows:
        raise DataError(f"{path}: no captions under the header; must hold at least one. Add a row for each.")
    ragged = [row for row in rows if len(row.fields) != len(names)]
    if not ragged:
        return
    shown = "; ".join(f"line {row.line}: {len(row.fields)}" for row in ragged[:_NUM_SHOWN])
    more = f" and {len(ragged) - _NUM_SHOWN} more" if len(ragged) > _NUM_SHOWN else ""
    raise DataError(
        f"{path}: {len(ragged)} of {len(rows)} rows have another number of fields than the header's "
        f"{len(names)}: {shown}{more}. Put a caption that holds commas in double quotes."
    )


def _to_frame(names: list[str], rows: list[Row]) -> pd.DataFrame:
    columns = {CAPTION: [row.fields[names.index(CAPTION)] for row in rows]}
    for name in OPTIONAL:
        if name in names:
            index = names.index(name)
            columns[name] = [row.fields[index].strip() or UNKNOWN for row in rows]
        else:
            columns[name] = [UNKNOWN] * len(rows)
    frame = pd.DataFrame(columns, dtype="str")
    return frame.assign(line=pd.Series([row.line for row in rows], dtype="int64"))
