"""The formats of captions files: each reader yields (caption, source, licence, line, fault) of every record.

Sources: RFC 4180 for CSV; CC3M and CC12M (https://github.com/google-research-datasets/conceptual-12m) for
values that tabs separate; https://jsonlines.org; https://cocodataset.org/#format-data for COCO's captions.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from stablerep.curation.reading.encodings import HEAD_BYTES, refuse_wide_text
from stablerep.curation.settings import Columns
from stablerep.errors import DataError
from stablerep.nearest_name import nearest_name

# caption, source, licence, line, fault; None where the record tells nothing
Record = tuple[str | None, str | None, str | None, int, str | None]
_MAX_FIELD = 2**24  # characters; above it a quote was left open rather than a caption written
_WRONG_FIELDS, _NO_JSON, _NO_TEXT = "wrong_number_of_fields", "not_a_json_object", "no_text"
_DEFAULTS = ("caption", "source", "licence")


def read_csv(path: Path, columns: Columns) -> Iterator[Record]:
    """Reads RFC 4180.

    Raises:
        DataError: see `stablerep.curation.reading.engine.CaptionFiles.batches`.
    """
    with _opened(path) as stream:
        yield from _records(path, csv.reader(stream, strict=True), columns)


def read_tsv(path: Path, columns: Columns) -> Iterator[Record]:
    """Reads values separated by tabs; quotes are text."""
    with _opened(path) as stream:
        yield from _records(path, csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE), columns)


def read_text(path: Path, columns: Columns) -> Iterator[Record]:
    """Reads a caption a line; blank lines are none."""
    del columns  # there are none
    with _opened(path) as stream:
        for line, text in enumerate(stream, 1):
            if text.strip("\r\n"):
                yield text.rstrip("\r\n"), None, None, line, None


def read_jsonl(path: Path, columns: Columns) -> Iterator[Record]:
    """Reads a JSON object a line; blank lines are none."""
    with _opened(path) as stream:
        for line, text in enumerate(stream, 1):
            if not text.strip():
                continue
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                found = None
            if not isinstance(found, dict):
                yield text.rstrip("\r\n"), None, None, line, _NO_JSON
                continue
            caption = found.get(str(columns.caption))
            fault = None if isinstance(caption, str) else _NO_TEXT
            texts = [caption, found.get(str(columns.source)), found.get(str(columns.licence))]
            of_caption, source, licence = (_without_surrogates(_text(each)) for each in texts)
            yield of_caption, source, licence, line, fault


def read_coco(path: Path, columns: Columns) -> Iterator[Record]:
    """Reads COCO's JSON of captions; its line is the number of the annotation, from 1.

    The file is parsed as a whole, in memory. The licence is the annotation's, or else that of its image.
    """
    with _opened(path) as stream:
        try:
            found = json.load(stream)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: is not JSON ({error}). Write the file again.") from error
    annotations = found.get("annotations") if isinstance(found, dict) else None
    if not isinstance(annotations, list):
        raise DataError(
            f"{path}: has no list `annotations`; must be COCO's JSON of captions. Write an "
            "object per line, as .jsonl, otherwise."
        )
    names = {each.get("id"): each.get("name") for each in found.get("licenses", [])}
    licences = {each.get("id"): names.get(each.get("license")) for each in found.get("images", [])}
    if annotations and isinstance(annotations[0], dict):
        _check_names(path, list(annotations[0]), columns)
    for line, annotation in enumerate(annotations, 1):
        if not isinstance(annotation, dict):
            yield _without_surrogates(str(annotation)), None, None, line, _NO_JSON
            continue
        caption = annotation.get(str(columns.caption))
        fault = None if isinstance(caption, str) else _NO_TEXT
        licence = annotation.get(str(columns.licence)) or licences.get(annotation.get("image_id"))
        texts = [caption, annotation.get(str(columns.source)), licence]
        of_caption, source, of_licence = (_without_surrogates(_text(each)) for each in texts)
        yield of_caption, source, of_licence, line, fault


def read_parquet(path: Path, columns: Columns) -> Iterator[Record]:
    """Reads Parquet; its line is the row, from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, pre_buffer=False)  # which would keep all that was read
        names = list(file.schema_arrow.names)
        _check_names(path, names, columns)
        wanted = [name for name in columns.names if name in names]
        line = 1
        for batch in file.iter_batches(batch_size=2**14, columns=wanted):
            table = pa.Table.from_batches([batch])
            parts = [
                _values(table.column(name)) if name in wanted else [None] * len(table)
                for name in columns.names
            ]
            for caption, source, licence in zip(*parts, strict=True):
                fault = None if isinstance(caption, str) else _NO_TEXT
                yield _text(caption), _text(source), _text(licence), line, fault
                line += 1
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error}). Write the file again.") from error


def _values(column: Any) -> list[Any]:
    """Returns a column's values; texts that are not UTF-8, and bytes, with U+FFFD for what is broken."""
    import pyarrow as pa

    try:
        values = column.to_pylist()
    except UnicodeDecodeError:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        values = column.cast(pa.large_binary()).to_pylist()
    return [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in values]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) or value is None else str(value)


def _without_surrogates(text: str | None) -> str | None:
    # JSON may escape half of a surrogate pair, which no UTF-8 holds
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Opens a text file, packed or not; broken UTF-8 becomes U+FFFD."""
    try:
        with _open_bytes(path) as data:
            head = io.BufferedReader(cast(io.RawIOBase, data))
            refuse_wide_text(path, head.peek(HEAD_BYTES))
            yield io.TextIOWrapper(head, encoding="utf-8-sig", errors="replace", newline="")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; must be a captions file.") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read: {reason}; must be a captions file.") from error


def _open_bytes(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path))
    if path.suffix.lower() == ".zst":
        import pyarrow as pa

        return cast(BinaryIO, pa.input_stream(str(path), compression="zstd"))
    return path.open("rb", buffering=0)


def _records(path: Path, reader: Any, columns: Columns) -> Iterator[Record]:
    """Yields the records of a reader of the csv module; blank lines are none."""
    csv.field_size_limit(_MAX_FIELD)  # of the whole process: the module has no other place for it
    rows = _numbered_rows(path, reader)
    if columns.header:
        header = next(rows, None)
        if header is None:
            raise DataError(f"{path}: is empty; must start with a header such as caption,source,licence.")
        names: list[Any] = [name.strip() for name in header[1]]
        _check_names(path, names, columns)
    else:
        first = next(rows, None)
        if first is None:
            raise DataError(f"{path}: is empty; must hold a record a line.")
        names = list(range(len(first[1])))
        _check_names(path, names, columns)
        rows = _chain(first, rows)
    places = [names.index(name) if name in names else None for name in columns.names]
    caption, source, licence = places
    for line, fields in rows:
        if len(fields) != len(names):
            yield ",".join(fields), None, None, line, _WRONG_FIELDS
            continue
        yield (
            fields[cast(int, caption)],
            None if source is None else fields[source],
            None if licence is None else fields[licence],
            line,
            None,
        )


def _chain(
    first: tuple[int, list[str]], rest: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest


def _numbered_rows(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    start = 1
    try:
        for fields in reader:
            if fields:
                yield start, fields
            start = reader.line_num + 1
    except csv.Error as error:
        advice = 'Close every quote, double the quotes inside a quoted caption ("a ""nice"" nine").'
        if reader.dialect.quoting == csv.QUOTE_NONE:
            advice = "Quotes are text here: break the line, or take it out."
        raise DataError(
            f"{path}: line {start}: the record that starts here is malformed ({error}). {advice}"
        ) from error


def _check_names(path: Path, names: list[Any], columns: Columns) -> None:
    repeated = sorted({str(name) for name in names if names.count(name) > 1})
    if repeated:
        shown = ", ".join(map(repr, repeated))
        raise DataError(
            f"{path}: line 1: more than one column is named {shown}; names must differ. Rename one."
        )
    for name, default in zip(columns.names, _DEFAULTS, strict=True):
        if name is None or name in names:
            continue
        got = ", ".join(map(repr, names))
        folded = {str(each).casefold().strip(): each for each in names}
        optional = name == default and default != "caption"
        # a source or a licence in another spelling must not be lost: License, sources
        near = nearest_name(str(name).casefold(), folded, cutoff=0.8 if optional else 0.6)
        if optional and not near:
            continue
        if not near and default == "caption" and not set(names) & {"source", "licence"} and _are_words(names):
            raise DataError(
                f"{path}: line 1: no header: got {got}; must be the columns' names. "
                f"Put the line caption,source,licence (or caption alone) above the first caption, or give "
                "the columns "
                "by number in curation.reading.columns."
            )
        hint = f" The nearest is {folded[near]!r}: rename it," if near else " Rename yours,"
        raise DataError(
            f"{path}: line 1: no column {name!r}; the columns are {got}.{hint} or set "
            f"curation.reading.columns.{default} in conf/params/curation/<name>.yaml."
        )


def _are_words(names: list[Any]) -> bool:
    return any(" " in str(name) for name in names)
