"""Takedowns: read by line, added without touching what stands there, obeyed by curation."""

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from stablerep.caption_ids import caption_id_of
from stablerep.curation.filters.duplicates import Duplicates
from stablerep.curation.people.takedowns import (
    Takedown,
    TakenDown,
    add_takedown,
    kind_of,
    read_takedowns,
    reason_of_reject,
    taken_down,
)
from stablerep.errors import DataError
from tests.stablerep.curation.corpus import frame_of, run

HEADER = "what,kind,reason,date,who\n"
ONE = Takedown("a library, closed", "source", "licence withdrawn", "2026-01-31", "Ada")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "takedowns.csv"
    path.write_text(HEADER)
    return path


def captions(*rows: tuple[str, str]) -> pl.DataFrame:
    texts, sources = zip(*rows, strict=True)
    return frame_of(texts).with_columns(pl.Series("source", sources))


def test_no_line_is_no_takedown(path: Path) -> None:
    takedowns = read_takedowns(path)
    assert list(takedowns) == ["what", "kind", "reason", "date", "who"]
    assert takedowns.empty and taken_down(takedowns, "source") == set()


def test_an_empty_table_passes_its_schema(path: Path) -> None:
    from stablerep.validation.schemas import Takedowns

    assert Takedowns.validate(read_takedowns(path)).empty
    add_takedown(path, ONE)
    assert Takedowns.validate(read_takedowns(path))["what"].tolist() == [ONE.what]


def test_a_line_is_added_behind_what_people_wrote(path: Path) -> None:
    # their order of columns, their quotes, no line end
    theirs = 'who,what,kind,date,reason\r\n"Ada",two,source,2026-01-30,"because, ""yes"""'
    path.write_bytes(theirs.encode())
    assert add_takedown(path, ONE)
    assert path.read_bytes().startswith(theirs.encode())
    takedowns = read_takedowns(path)
    assert takedowns["what"].tolist() == ["two", "a library, closed"]
    assert takedowns["reason"].tolist() == ['because, "yes"', "licence withdrawn"]
    assert list(path.parent.iterdir()) == [path]


def test_the_same_thing_is_taken_down_once(path: Path) -> None:
    assert add_takedown(path, ONE)
    before = path.read_bytes()
    assert not add_takedown(path, Takedown(ONE.what, "source", "again", "2026-02-01", "Bo"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("x,source,why,2026-01-31", "line 2: got 4 fields; must be 5"),
        (",source,why,2026-01-31,Ada", "line 2: what: got ''"),
        (
            "x,sauce,why,2026-01-31,Ada",
            "line 2: kind: got 'sauce'; must be one of caption, source",
        ),
        ("x,caption,why,2026-01-31,Ada", "line 2: what: got 'x', which is a source; must be a caption"),
        ("x,source,why,yesterday,Ada", "line 2: date: got 'yesterday'"),
        ("x,source,,2026-01-31,Ada", "line 2: reason: got ''"),
        ('"x,source,why,2026-01-31,Ada', "line 2: the record that starts here is malformed"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_written(path: Path, row: str, fault: str) -> None:
    path.write_text(f"{HEADER}{row}\n")
    before = path.read_bytes()
    with pytest.raises(DataError, match=fault):
        read_takedowns(path)
    with pytest.raises(DataError, match=fault):
        add_takedown(path, ONE)
    assert path.read_bytes() == before


def test_a_missing_file_undoes_no_takedown(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must exist, so that nothing that was taken down comes back"):
        read_takedowns(tmp_path / "takedowns.csv")


def test_another_header_is_named(path: Path) -> None:
    path.write_text("what,why\n")
    with pytest.raises(DataError, match="line 1: got the columns 'what', 'why'; must be what,kind"):
        read_takedowns(path)


@pytest.mark.parametrize("reason", ["", " ", "a\x00b"])
def test_a_takedown_that_cannot_be_written_leaves_the_file(path: Path, reason: str) -> None:
    with pytest.raises(DataError):
        add_takedown(path, Takedown("two", "source", reason, "2026-01-31", "Ada"))
    assert path.read_text() == HEADER


def warnings_of(caplog: pytest.LogCaptureFixture, *sources: str) -> list[str]:
    lines = [Takedown(each, "source", "x", "2026-01-31", "Ada").__dict__ for each in sources]
    read = captions(("a nine", "a library, closed"), ("a ten", "photos"), ("a five", "photos"))
    with caplog.at_level("WARNING", "stablerep"):
        run(read, [Duplicates()], size=1, takedowns=TakenDown(pd.DataFrame(lines)))
    return [record.getMessage() for record in caplog.records]


def test_a_takedown_of_a_source_that_no_caption_has_is_a_warning_with_the_nearest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (warned,) = warnings_of(caplog, "fotos", "a library, closed")
    assert warned.startswith("takedown of source 'fotos': no caption that was read has this source")
    assert "The nearest source is 'photos'" in warned


def test_a_takedown_of_a_source_that_was_read_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert warnings_of(caplog, "a library, closed") == []


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("c-0123456789abcdef", "caption"),
        ("g-0123456789abcdef", "generator"),
        ("m-0123456789abcdef", "generator"),
        ("c-0123", "source"),
        ("digit_scenes grammar", "source"),
    ],
)
def test_the_form_tells_the_kind(what: str, kind: str) -> None:
    assert kind_of(what) == kind


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Licence withdrawn!", "taken_down_licence_withdrawn"),
        ("Übergabe", "taken_down_ubergabe"),
        ("削除", "taken_down"),
        ("x" * 500, f"taken_down_{'x' * 60}"),
    ],
)
def test_reasons_become_those_of_rejects(reason: str, expected: str) -> None:
    assert reason_of_reject(reason) == expected


def test_what_was_taken_down_is_rejected_with_its_reason(path: Path) -> None:
    add_takedown(path, Takedown(caption_id_of("a nine"), "caption", "shows a name", "2026-01-31", "Ada"))
    add_takedown(path, Takedown("two", "source", "licence withdrawn", "2026-01-31", "Ada"))
    frame = captions(("a nine", "one"), ("a three", "two"), ("a five", "one"))
    kept, rejected = run(frame, [], takedowns=TakenDown(read_takedowns(path)))
    assert kept["text"].to_list() == ["a five"]
    assert rejected.select("text", "filter", "reason").rows() == [
        ("a nine", "takedowns", "taken_down_shows_a_name"),
        ("a three", "takedowns", "taken_down_licence_withdrawn"),
    ]


def test_an_equal_caption_of_another_source_stays(path: Path) -> None:
    add_takedown(path, Takedown("two", "source", "why", "2026-01-31", "Ada"))
    frame = captions(("a nine", "two"), ("a nine", "one"))
    kept, _ = run(frame, [Duplicates()], takedowns=TakenDown(read_takedowns(path)))
    assert kept["source"].to_list() == ["one"]
