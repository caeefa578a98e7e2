"""Captions in every format come out alike, with their line; bad records are faults, bad files errors."""

import gzip
import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stablerep.curation.reading.engine import SCHEMA, CaptionFiles
from stablerep.curation.settings import Columns, Reading
from stablerep.errors import ConfigError, DataError

_BY_ENDING = Reading()


def _write(tmp_path: Path, data: str | bytes, name: str = "captions.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def read_captions(path: Path | str, reading: Reading = _BY_ENDING) -> pl.DataFrame:
    batches = list(CaptionFiles(str(path)).batches(reading, batch_size=3))
    assert all(batch.schema == SCHEMA and 0 < len(batch) <= 3 for batch in batches)
    frame = pl.concat(batches)
    assert frame["row"].to_list() == list(range(len(frame)))
    return frame


def _columns(frame: pl.DataFrame, *names: str) -> list[list[object]]:
    return [list(row) for row in frame.select(names).rows()]


def _fault(tmp_path: Path, data: str | bytes) -> str:
    path = _write(tmp_path, data)
    with pytest.raises(DataError) as caught:
        read_captions(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_reads_caption_source_licence_and_line(tmp_path: Path) -> None:
    path = _write(tmp_path, "caption,source,licence\na nine,me,CC0-1.0\na ten,you,CC-BY-4.0\n")
    frame = read_captions(path)
    assert frame.drop("row").to_dict(as_series=False) == {
        "caption": ["a nine", "a ten"],
        "source": ["me", "you"],
        "licence": ["CC0-1.0", "CC-BY-4.0"],
        "line": [2, 3],
        "fault": [None, None],
    }


def test_source_is_the_file_and_licence_unknown_where_nothing_is_said(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, "caption\na nine\n"))
    assert _columns(frame, "source", "licence") == [["captions.csv", "unknown"]]
    path = _write(tmp_path, "licence,caption,source\n ,a nine,\n")
    assert _columns(read_captions(path), "source", "licence") == [["captions.csv", "unknown"]]
    told = Reading(source="redcaps", licence="CC-BY-4.0")
    assert _columns(read_captions(path, told), "source", "licence") == [["redcaps", "CC-BY-4.0"]]


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    path = _write(tmp_path, "TEXT,URL\na nine,x.org/1\n")
    frame = read_captions(path, Reading(columns=Columns(caption="TEXT", source="URL", licence=None)))
    assert _columns(frame, "caption", "source") == [["a nine", "x.org/1"]]
    with pytest.raises(DataError, match="no column 'url'.*The nearest is 'URL'"):
        read_captions(path, Reading(columns=Columns(caption="TEXT", source="url", licence=None)))


def test_conceptual_captions_have_no_header_and_no_quotes(tmp_path: Path) -> None:
    path = _write(tmp_path, 'http://a/1\ta "nice" nine, in teal\nhttp://a/2\t"a ten\nbroken\n', "cc12m.tsv")
    frame = read_captions(path, Reading(columns=Columns(caption=1, source=0, licence=None)))
    assert _columns(frame, "caption", "source", "line", "fault") == [
        ['a "nice" nine, in teal', "http://a/1", 1, None],
        ['"a ten', "http://a/2", 2, None],
        ["broken", "cc12m.tsv", 3, "wrong_number_of_fields"],
    ]
    with pytest.raises(DataError, match="no column 2"):
        read_captions(path, Reading(columns=Columns(caption=2, source=0, licence=None)))


def test_json_lines(tmp_path: Path) -> None:
    lines = [{"caption": "a nine", "source": "r/pics"}, {"caption": None}, {"caption": 9}, {"x": 1}, [1]]
    text = "\n".join([*map(json.dumps, lines), "{broken", "", json.dumps({"caption": "a\nten \ud83d"})])
    frame = read_captions(_write(tmp_path, text, "redcaps.jsonl"))
    assert _columns(frame, "caption", "line", "fault") == [
        ["a nine", 1, None],
        ["", 2, "no_text"],
        ["9", 3, "no_text"],
        ["", 4, "no_text"],
        ["[1]", 5, "not_a_json_object"],
        ["{broken", 6, "not_a_json_object"],
        ["a\nten ?", 8, None],
    ]
    assert frame["source"][0] == "r/pics"


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "laion.parquet"
    pl.DataFrame({"TEXT": ["a nine", None, "a ten"], "URL": ["1", "2", None]}).write_parquet(path)
    frame = read_captions(path, Reading(columns=Columns(caption="TEXT", source="URL", licence=None)))
    assert _columns(frame, "caption", "source", "line", "fault") == [
        ["a nine", "1", 1, None],
        ["", "2", 2, "no_text"],
        ["a ten", "laion.parquet", 3, None],
    ]
    with pytest.raises(DataError, match="no column 'caption'; the columns are 'TEXT', 'URL'"):
        read_captions(path)
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_captions(_write(tmp_path, "no parquet", "other.parquet"))


def test_what_is_no_utf8_in_json_and_parquet_becomes_the_replacement_character(tmp_path: Path) -> None:
    text = r'{"caption": "a \ud800 b", "source": "x\udfff", "licence": "y\ud800"}'
    frame = read_captions(_write(tmp_path, text + "\n", "captions.jsonl"))
    assert frame.select("caption", "source", "licence").rows() == [("a ? b", "x?", "y?")]
    of_bytes = pa.array([b"a nine", b"caf\xe9"], pa.binary())
    broken = of_bytes.view(pa.string())
    for number, column in enumerate((of_bytes, broken, broken.dictionary_encode())):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"caption": column}), path)
        assert read_captions(path)["caption"].to_list() == ["a nine", "caf\ufffd"]


@pytest.mark.parametrize("name", ["License", "licences", "Source", "sources"])
def test_a_source_or_licence_in_another_spelling_is_not_lost(tmp_path: Path, name: str) -> None:
    message = _fault(tmp_path, f"caption,{name}\na nine,x\n")
    assert f"The nearest is {name!r}: rename it" in message
    assert read_captions(_write(tmp_path, "caption,score\na nine,1\n"))["source"].to_list() == [
        "captions.csv"
    ]


def test_plain_text(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, 'a nine\n\n a ten, "x"\r\n', "captions.txt"))
    assert _columns(frame, "caption", "line") == [["a nine", 1], [' a ten, "x"', 3]]


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_packed_files(tmp_path: Path, ending: str) -> None:
    data = b"caption\n" + b"".join(f"a nine {number}\n".encode() for number in range(5000))
    packed = gzip.compress(data) if ending == "gz" else pa.Codec("zstd").compress(data, asbytes=True)
    path = _write(tmp_path, packed, f"captions.csv.{ending}")
    assert read_captions(path)["caption"][-1] == "a nine 4999"
    with pytest.raises(DataError, match="cannot be read"):
        read_captions(_write(tmp_path, packed[: len(packed) // 2], f"half.csv.{ending}"))


def test_many_files_come_one_after_the_other(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv"):
        _write(tmp_path, f"caption\n{name} one\n{name} two\n", name)
    frame = read_captions(tmp_path / "*.csv")
    assert _columns(frame, "caption", "source", "line") == [
        ["a.csv one", "a.csv", 2],
        ["a.csv two", "a.csv", 3],
        ["b.csv one", "b.csv", 2],
        ["b.csv two", "b.csv", 3],
    ]


def test_another_ending_must_tell_its_format(tmp_path: Path) -> None:
    path = _write(tmp_path, "caption\na nine\n", "captions.dat")
    with pytest.raises(ConfigError, match="its ending tells no format"):
        read_captions(path)
    assert len(read_captions(path, Reading(format="csv"))) == 1
    with pytest.raises(ConfigError, match=r"curation\.reading\.format: got 'xml'"):
        Reading(format="xml")


@pytest.mark.parametrize("columns", [(0, "source", None), (-1, None, None), ("caption", 1, None)])
def test_columns_are_names_or_numbers(columns: tuple[object, object, object]) -> None:
    with pytest.raises(ConfigError, match=r"curation\.reading\.columns: got"):
        Columns.read(dict(zip(("caption", "source", "licence"), columns, strict=True)))


def test_counting_stops_where_enough_are_found(tmp_path: Path) -> None:
    files = CaptionFiles(str(_write(tmp_path, "caption\n" + "a nine\n" * 100 + "x,y\n")))
    assert files.count(Reading(), enough=1000) == 100
    assert files.count(Reading(), enough=7) < 20


def test_lines_count_quoted_newlines_and_blank_lines(tmp_path: Path) -> None:
    text = 'caption,source\n"a nine\non two\nlines",me\n\na ten,me\n"an\r\neleven",me\na zero,me\n'
    frame = read_captions(_write(tmp_path, text))
    assert frame["line"].to_list() == [2, 6, 7, 9]
    assert frame["caption"][0] == "a nine\non two\nlines"
    assert frame["caption"][2] == "an\r\neleven"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_read(tmp_path: Path, end: str) -> None:
    frame = read_captions(_write(tmp_path, end.join(["caption", "a nine", "a ten", ""])))
    assert frame["caption"].to_list() == ["a nine", "a ten"]
    assert frame["line"].to_list() == [2, 3]


def test_quotes_and_commas_inside_quotes_are_text(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, 'caption\n"a ""nice"" nine, in teal"\n'))
    assert frame["caption"].to_list() == ['a "nice" nine, in teal']


def test_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, "caption\na nine\n".encode("utf-8-sig")))
    assert frame["caption"].to_list() == ["a nine"]


def test_texts_are_as_they_stand(tmp_path: Path) -> None:
    texts = ["  NA ", "null", "123", "\u202ea nine", "🙂", "é", "nan"]
    frame = read_captions(_write(tmp_path, "caption\n" + "\n".join(texts) + "\n"))
    assert frame["caption"].to_list() == texts


def test_a_cell_may_be_empty_but_a_text_it_is(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, 'caption,source\n,me\n"",me\n'))
    assert frame["caption"].to_list() == ["", ""]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.csv: no such file; must be a captions file"):
        read_captions(tmp_path / "nothing.csv")


@pytest.mark.parametrize("data", ["", "\n\n\r\n", "\ufeff"])
def test_empty_file(tmp_path: Path, data: str) -> None:
    assert "is empty; must start with a header" in _fault(tmp_path, data)


def test_header_without_rows(tmp_path: Path) -> None:
    assert "holds no captions" in _fault(tmp_path, "caption,source\n\n")


def test_no_header(tmp_path: Path) -> None:
    message = _fault(tmp_path, "a teal nine,me\na ten,me\n")
    assert message.startswith("line 1: no header: got 'a teal nine', 'me'")


def test_no_caption_column_says_which_were_there(tmp_path: Path) -> None:
    message = _fault(tmp_path, "text,source\na nine,me\n")
    assert "no column 'caption'; the columns are 'text', 'source'" in message


@pytest.mark.parametrize("name", ["captions", "Caption", "captoin", "CAPTION"])
def test_no_caption_column_names_the_nearest(tmp_path: Path, name: str) -> None:
    assert f"The nearest is '{name}': rename it," in _fault(tmp_path, f"url,{name}\nx,a nine\n")


def test_columns_of_one_name(tmp_path: Path) -> None:
    message = _fault(tmp_path, "caption,source, caption\na nine,me,a ten\n")
    assert "more than one column is named 'caption'" in message


@pytest.mark.parametrize("name", ["UTF-16", "UTF-32"])
@pytest.mark.parametrize("end", ["LE", "BE"])
def test_wide_text_is_called_by_its_name(tmp_path: Path, name: str, end: str) -> None:
    data = "\ufeffcaption\na nine\n".encode(f"{name}-{end}")
    assert f"is {name}; must be UTF-8" in _fault(tmp_path, data)


def test_open_quote_names_the_line_where_it_starts(tmp_path: Path) -> None:
    message = _fault(tmp_path, 'caption\na nine\n"a ten\na zero\na one\n')
    assert message.startswith("line 3: the record that starts here is malformed")


def test_text_behind_a_closing_quote(tmp_path: Path) -> None:
    assert "line 2: the record that starts here" in _fault(tmp_path, 'caption\n"a" nine\n')


def test_broken_bytes_become_the_replacement_character(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, b"caption\na caf\xe9 seven\na \x00ten\n"))
    assert frame["caption"].to_list() == ["a caf\ufffd seven", "a \x00ten"]


def test_rows_that_do_not_fit_the_header_are_faults(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, "caption,source\na nine,me\na nine, in teal,me\na ten\n"))
    assert _columns(frame, "caption", "line", "fault") == [
        ["a nine", 2, None],
        ["a nine, in teal,me", 3, "wrong_number_of_fields"],
        ["a ten", 4, "wrong_number_of_fields"],
    ]


def test_one_megabyte_line_is_read(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, "caption\na nine\n" + "a" * 1_000_000 + "\n"))
    assert frame["caption"].str.len_chars().to_list() == [6, 1_000_000]


def test_a_quote_that_nobody_closed_is_an_error_with_its_line(tmp_path: Path) -> None:
    message = _fault(tmp_path, 'caption\na nine\n"' + "a" * 17_000_000)
    assert message.startswith("line 3: ")
    assert "field limit" in message


def _coco(annotations: object) -> str:
    licences = [{"id": 4, "name": "Attribution License"}]
    return json.dumps({"annotations": annotations, "images": [{"id": 7, "license": 4}], "licenses": licences})


def test_reads_the_captions_of_coco(tmp_path: Path) -> None:
    annotations = [
        {"image_id": 7, "id": 1, "caption": "a nine"},
        {"image_id": 8, "id": 2, "caption": "a ten", "licence": "CC0-1.0", "source": "me"},
        {"image_id": 7, "id": 3, "caption": None},
        "a two",
    ]
    frame = read_captions(_write(tmp_path, _coco(annotations), "captions.json"))
    assert _columns(frame, "caption", "source", "licence", "line", "fault") == [
        ["a nine", "captions.json", "Attribution License", 1, None],
        ["a ten", "me", "CC0-1.0", 2, None],
        ["", "captions.json", "Attribution License", 3, "no_text"],
        ["a two", "captions.json", "unknown", 4, "not_a_json_object"],
    ]


def test_json_that_is_not_coco_is_an_error(tmp_path: Path) -> None:
    for text, fault in (
        ("[]", "has no list `annotations`"),
        ("{", "is not JSON"),
        (_coco([]), "holds no captions"),
        (_coco([{"image_id": 7, "bbox": [1]}]), "no column 'caption'"),
    ):
        with pytest.raises(DataError, match=fault):
            read_captions(_write(tmp_path, text, "captions.json"))
