"""Every fault of a captions file is named by file and line."""

from pathlib import Path

import pytest

from stablerep.curation import read_captions
from stablerep.errors import DataError
from stablerep.validation.schemas import CaptionsIn


def _write(tmp_path: Path, data: str | bytes) -> Path:
    path = tmp_path / "captions.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def _fault(tmp_path: Path, data: str | bytes) -> str:
    path = _write(tmp_path, data)
    with pytest.raises(DataError) as caught:
        read_captions(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_reads_caption_source_licence_and_line(tmp_path: Path) -> None:
    path = _write(tmp_path, "caption,source,licence\na nine,me,CC0-1.0\na ten,you,CC-BY-4.0\n")
    frame = CaptionsIn.validate(read_captions(path))
    assert frame.to_dict("list") == {
        "caption": ["a nine", "a ten"],
        "source": ["me", "you"],
        "licence": ["CC0-1.0", "CC-BY-4.0"],
        "line": [2, 3],
    }


def test_path_may_be_a_text(tmp_path: Path) -> None:
    assert len(read_captions(str(_write(tmp_path, "caption\na nine\n")))) == 1


def test_source_and_licence_are_unknown_where_the_file_says_nothing(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, "caption\na nine\n"))
    assert frame[["source", "licence"]].values.tolist() == [["unknown", "unknown"]]
    frame = read_captions(_write(tmp_path, "licence,caption,source\n ,a nine,\n"))
    assert frame[["source", "licence"]].values.tolist() == [["unknown", "unknown"]]
    CaptionsIn.validate(frame)


def test_further_columns_are_passed_over_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        frame = read_captions(_write(tmp_path, "note,caption\nx,a nine\n"))
    assert list(frame) == ["caption", "source", "licence", "line"]
    assert "columns passed over: 'note'" in caplog.text


def test_lines_count_quoted_newlines_and_blank_lines(tmp_path: Path) -> None:
    text = 'caption,source\n"a nine\non two\nlines",me\n\na ten,me\n"an\r\neleven",me\na zero,me\n'
    frame = read_captions(_write(tmp_path, text))
    assert frame["line"].tolist() == [2, 6, 7, 9]
    assert frame["caption"][0] == "a nine\non two\nlines"
    assert frame["caption"][2] == "an\r\neleven"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_read(tmp_path: Path, end: str) -> None:
    frame = read_captions(_write(tmp_path, end.join(["caption", "a nine", "a ten", ""])))
    assert frame["caption"].tolist() == ["a nine", "a ten"]
    assert frame["line"].tolist() == [2, 3]


def test_quotes_and_commas_inside_quotes_are_text(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, 'caption\n"a ""nice"" nine, in teal"\n'))
    assert frame["caption"].tolist() == ['a "nice" nine, in teal']


def test_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, "caption\na nine\n".encode("utf-8-sig")))
    assert frame["caption"].tolist() == ["a nine"]


def test_texts_are_as_they_stand(tmp_path: Path) -> None:
    texts = ["  NA ", "null", "123", "\u202ea nine", "🙂", "é", "nan"]
    frame = read_captions(_write(tmp_path, "caption\n" + "\n".join(texts) + "\n"))
    assert frame["caption"].tolist() == texts
    CaptionsIn.validate(frame)


def test_a_cell_may_be_empty_but_a_text_it_is(tmp_path: Path) -> None:
    frame = read_captions(_write(tmp_path, 'caption,source\n,me\n"",me\n'))
    assert frame["caption"].tolist() == ["", ""]
    CaptionsIn.validate(frame)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.csv: no such file; must be a CSV file"):
        read_captions(tmp_path / "nothing.csv")


def test_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_captions(tmp_path)


@pytest.mark.parametrize("data", ["", "\n\n\r\n", "\ufeff"])
def test_empty_file(tmp_path: Path, data: str) -> None:
    assert "is empty; must start with a header" in _fault(tmp_path, data)


def test_header_without_rows(tmp_path: Path) -> None:
    assert "no captions under the header" in _fault(tmp_path, "caption,source\n\n")


def test_no_header(tmp_path: Path) -> None:
    message = _fault(tmp_path, "a teal nine,me\na ten,me\n")
    assert message.startswith("line 1: no header: got 'a teal nine', 'me'")


def test_no_caption_column_says_which_were_there(tmp_path: Path) -> None:
    message = _fault(tmp_path, "text,source\na nine,me\n")
    assert "no column 'caption'; the columns are 'text', 'source'" in message


@pytest.mark.parametrize("name", ["captions", "Caption", "captoin", "CAPTION"])
def test_no_caption_column_names_the_nearest(tmp_path: Path, name: str) -> None:
    assert f"The nearest is '{name}': rename it." in _fault(tmp_path, f"url,{name}\nx,a nine\n")


def test_columns_of_one_name(tmp_path: Path) -> None:
    message = _fault(tmp_path, "caption,source, caption\na nine,me,a ten\n")
    assert "more than one column is named 'caption'" in message


def test_not_utf8_names_line_and_byte(tmp_path: Path) -> None:
    data = b"caption\na nine\na caf\xe9 seven\n"
    message = _fault(tmp_path, data)
    assert message.startswith("line 3, byte 21: got 0xe9, which is not UTF-8")
    assert data[20] == 0xE9
    marked = _fault(tmp_path, b"\xef\xbb\xbf" + data)
    assert marked.startswith("line 3, byte 24: got 0xe9")


def test_not_utf8_after_windows_line_ends_names_the_line(tmp_path: Path) -> None:
    assert _fault(tmp_path, b"caption\r\na\r\n\xff\r\n").startswith("line 3, byte 13")


def test_utf16_is_called_by_its_name(tmp_path: Path) -> None:
    assert "is UTF-16; must be UTF-8" in _fault(tmp_path, "caption\na nine\n".encode("utf-16"))


def test_nul_byte_names_line_and_byte(tmp_path: Path) -> None:
    message = _fault(tmp_path, b"caption\na nine\na \x00ten\n")
    assert message.startswith("line 3, byte 18: a NUL byte")


def test_rows_that_do_not_fit_the_header_are_named(tmp_path: Path) -> None:
    rows = ["a nine,me", "a nine, in teal,me", "a ten"] + ["a,b,c"] * 9
    message = _fault(tmp_path, "caption,source\n" + "\n".join(rows) + "\n")
    assert "11 of 12 rows" in message
    assert "header's 2: line 3: 3; line 4: 1; line 5: 3" in message
    assert "and 6 more" in message
    assert "double quotes" in message


def test_open_quote_names_the_line_where_it_starts(tmp_path: Path) -> None:
    message = _fault(tmp_path, 'caption\na nine\n"a ten\na zero\na one\n')
    assert message.startswith("line 3: the record that starts here is malformed")


def test_text_behind_a_closing_quote(tmp_path: Path) -> None:
    assert "line 2: the record that starts here" in _fault(tmp_path, 'caption\n"a" nine\n')


def test_one_megabyte_line_is_an_error_with_its_line(tmp_path: Path) -> None:
    message = _fault(tmp_path, "caption\na nine\n" + "a" * 1_000_000 + "\n")
    assert message.startswith("line 3: ")
    assert "field limit" in message
