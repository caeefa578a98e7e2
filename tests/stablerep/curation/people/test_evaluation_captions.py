"""The captions that people evaluate on are read strictly: what is not read is trained on."""

from pathlib import Path

import pytest

from stablerep.curation.people.evaluation_captions import read_evaluation_captions
from stablerep.errors import DataError
from stablerep.validation.schemas import EvaluationCaptions


def read(tmp_path: Path, content: str | bytes) -> list[str]:
    path = tmp_path / "evaluation_captions.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = EvaluationCaptions.validate(read_evaluation_captions(path))
    assert list(table) == ["caption"]
    return table["caption"].tolist()


def test_captions_are_read_in_their_order(tmp_path: Path) -> None:
    assert read(tmp_path, '\ufeffcaption\r\na nine\r\n\r\n"a ten, on paper"\r\nNA\r\n') == [
        "a nine",
        "a ten, on paper",
        "NA",
    ]


def test_a_header_alone_is_no_caption(tmp_path: Path) -> None:
    assert read(tmp_path, "caption\n") == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param("caption\na brown zero, on paper\n", "line 2: got 2 fields; must be 1", id="comma"),
        pytest.param("caption\na one\na ten,x\n", "line 3: got 2 fields; must be 1", id="uneven rows"),
        pytest.param("caption,source\na one,x\n", "line 1: got the columns 'caption', 'source'", id="column"),
        pytest.param("a brown zero\na one\n", "line 1: got the columns 'a brown zero'", id="no header"),
        pytest.param("", "line 1: got the columns none; must be caption", id="empty"),
        pytest.param('caption\na one\n""\n', "line 3: caption: is empty", id="empty caption"),
        pytest.param('caption\n"a one\na ten\n', "line 2: the record that starts here", id="unclosed quote"),
        pytest.param("caption\na café\n".encode("latin-1"), "line 2, byte 14: got 0xe9", id="Latin-1"),
        pytest.param("caption\na one\n".encode("utf-16"), "line 1, byte 1: is UTF-16; must be", id="UTF-16"),
        pytest.param("caption\na one\n".encode("utf-32"), "line 1, byte 1: is UTF-32; must be", id="UTF-32"),
        pytest.param(
            b"\x00\x00\xfe\xff" + "caption\n".encode("utf-32-be"),
            "line 1, byte 1: is UTF-32",
            id="UTF-32, big end",
        ),
        pytest.param("caption\na one\n".encode("utf-16-le"), "line 1, byte 2: a NUL byte", id="no mark"),
        pytest.param(bytes(range(256)), "line 1, byte 1: a NUL byte", id="binary"),
    ],
)
def test_a_malformed_file_is_named_with_the_line(tmp_path: Path, content: str | bytes, fault: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'evaluation_captions.csv'}: {fault}")


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_file_that_is_not_there_must_exist(tmp_path: Path, is_folder: bool) -> None:
    path = tmp_path / "evaluation_captions.csv"
    if is_folder:
        path.mkdir()
    with pytest.raises(DataError, match="must exist, so that no caption of an evaluation set is trained on"):
        read_evaluation_captions(path)
