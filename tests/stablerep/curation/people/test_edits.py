"""What people edit beside a corpus: each kind does what it says, and a wrong line is named."""

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from stablerep.caption_ids import caption_id_of
from stablerep.curation.filters.duplicates import Duplicates
from stablerep.curation.filters.empty import Empty
from stablerep.curation.filters.length import Length
from stablerep.curation.filters.normalise import Normalise
from stablerep.curation.filters.readable import Readable
from stablerep.curation.people.edits import Edits, read_edits
from stablerep.curation.people.takedowns import COLUMNS, TakenDown
from stablerep.errors import DataError
from tests.stablerep.curation.corpus import frame_of, run

HEADER = "caption,action,text,reason,who\n"
STEPS = [Normalise(), Length(2, 4), Duplicates()]


def edits(tmp_path: Path, *lines: str) -> Edits:
    path = tmp_path / "caption_edits.csv"
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return Edits(read_edits(path), path)


def edited(tmp_path: Path, *lines: str, **options: object) -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = frame_of(["a nine", "A  teal\u200b ten", "two", "a nine", "a five"])
    return run(frame, STEPS, size=2, edits=edits(tmp_path, *lines), **options)


def test_a_drop_is_rejected_with_its_reason(tmp_path: Path) -> None:
    kept, rejected = edited(tmp_path, "a five,drop,,Not a digit!,Ada")
    assert kept["text"].to_list() == ["a nine", "A teal ten"]
    assert ("a five", "edits", "dropped_not_a_digit") in rejected.select("text", "filter", "reason").rows()


def test_a_replacement_goes_on_and_its_old_text_is_rejected(tmp_path: Path) -> None:
    kept, rejected = edited(tmp_path, "a teal ten,replace,a  navy &amp; pink ten,wrong ink,Ada")
    assert kept.select("text", "line", "caption_id").rows()[1] == ("a five", 6, caption_id_of("a five"))
    found = rejected.select("text", "filter", "reason").rows()
    assert ("A teal ten", "edits", "replaced_wrong_ink") in found
    assert ("a navy & pink ten", "length", "too_many_words") in found


def test_a_replacement_that_passes_is_kept_on_its_line(tmp_path: Path) -> None:
    kept, _ = edited(tmp_path, "a teal ten,replace,a navy ten,wrong ink,Ada")
    assert kept.select("text", "line", "caption_id").rows()[1] == (
        "a navy ten",
        3,
        caption_id_of("a navy ten"),
    )


def test_what_people_keep_passes_the_bounds(tmp_path: Path) -> None:
    kept, _ = edited(tmp_path, "two,keep,,says enough,Ada")
    assert kept["text"].to_list() == ["a nine", "A teal ten", "two", "a five"]


def test_a_caption_may_be_named_by_its_id(tmp_path: Path) -> None:
    kept, _ = edited(tmp_path, f"{caption_id_of('a teal ten')},drop,,x,Ada")
    assert "A teal ten" not in kept["text"].to_list()


def test_equal_captions_are_edited_together_and_stay_one(tmp_path: Path) -> None:
    kept, _ = edited(tmp_path, "a nine,keep,,x,Ada")
    assert kept["text"].to_list().count("a nine") == 1
    _, rejected = edited(tmp_path, "a nine,drop,,x,Ada")
    assert rejected["reason"].to_list().count("dropped_x") == 2


def taken_down(text: str) -> TakenDown:
    row = [caption_id_of(text), "caption", "asked to", "2026-01-31", "Ada"]
    return TakenDown(pd.DataFrame([row], columns=list(COLUMNS)))


def test_nobody_keeps_what_was_taken_down(tmp_path: Path) -> None:
    kept, rejected = edited(tmp_path, "a five,keep,,x,Ada", takedowns=taken_down("a five"))
    assert "a five" not in kept["text"].to_list()
    found = rejected.filter(pl.col("text") == "a five").select("filter", "reason").rows()
    assert found == [("takedowns", "taken_down_asked_to")]


def test_no_replacement_writes_what_was_taken_down(tmp_path: Path) -> None:
    kept, rejected = edited(tmp_path, "a five,replace,a six,x,Ada", takedowns=taken_down("a six"))
    assert not {"a five", "a six"} & set(kept["text"])
    found = rejected.select("text", "filter", "reason").rows()
    assert ("a five", "edits", "replaced_x") in found
    assert ("a six", "takedowns", "taken_down_asked_to") in found


def test_a_caption_can_be_written_in_other_letters(tmp_path: Path) -> None:
    kept, _ = edited(tmp_path, "a five,replace,A Five,a name,Ada")
    assert "A Five" in kept["text"].to_list()


def test_what_filters_reject_before_the_edits_is_told_apart_from_what_is_not_there(tmp_path: Path) -> None:
    frame = frame_of(["a nine", "caf\ufffd x"])
    steps = [Readable(), *STEPS]
    for caption in ("caf\ufffd x", caption_id_of("caf\ufffd x")):
        with pytest.raises(DataError, match="line 2: .*: the filter readable rejects it before any edit"):
            run(frame, steps, size=2, edits=edits(tmp_path, f"{caption},keep,,x,Ada"))
    with pytest.raises(DataError, match="line 2: text: the filter readable rejects .*: broken_encoding"):
        run(frame, steps, size=2, edits=edits(tmp_path, "a nine,replace,caf\ufffd y,x,Ada"))


def test_nobody_keeps_a_caption_without_a_character(tmp_path: Path) -> None:
    empty = caption_id_of("")
    kept, _ = run(
        frame_of(["a nine", " "]),
        [Normalise(), Empty(), Duplicates()],
        size=2,
        edits=edits(tmp_path, f"{empty},keep,,x,Ada"),
    )
    assert kept["text"].to_list() == ["a nine"]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["a six,drop,,x,Ada"], "line 2: 'a six': no such caption"),
        (
            ["a nine,drop,,x,Ada", "c-0123456789abcdef,keep,,x,Ada"],
            "line 3: 'c-0123456789abcdef': no such caption",
        ),
        (["a nine,drop,,x,Ada", "A  nine,keep,,x,Ada"], "line 3: edits the caption of line 2 again"),
        (
            ["a nine,drop,,x,Ada", "a five,replace,a NINE,x,Ada"],
            r"line 3: writes the caption that line 2 edits \(drop\)",
        ),
        (
            ["a nine,replace,a six,x,Ada", "a five,replace,a nine,x,Ada"],
            r"line 3: writes .* line 2 edits \(replace\)",
        ),
        (["a nine,replace,,x,Ada"], "line 2: text: is empty"),
        (["a nine,drop,a six,x,Ada"], "line 2: text: got 'a six'; must be empty where the action is drop"),
        (["a nine,remove,,x,Ada"], "line 2: action: got 'remove'; must be one of keep, drop, replace"),
        (["a nine,drop,,,Ada"], "line 2: reason: is empty"),
        (["a nine,drop,,x,"], "line 2: who: is empty"),
        ([",drop,,x,Ada"], "line 2: caption: is empty"),
        (["a nine,drop,x,Ada"], "line 2: got 4 fields; must be 5"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, lines: list[str], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        edited(tmp_path, *lines)


def test_a_missing_file_undoes_no_edit_and_another_header_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must exist, so that every edit of a caption stays in force"):
        read_edits(tmp_path / "no.csv")
    (tmp_path / "x.csv").write_text("caption,why\n")
    with pytest.raises(DataError, match="line 1: got the columns 'caption', 'why'; must be caption,action"):
        read_edits(tmp_path / "x.csv")
