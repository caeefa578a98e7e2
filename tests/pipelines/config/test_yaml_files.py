"""A file that is no YAML: which file, which line, what is wrong there."""

import re
from pathlib import Path

import pytest

from pipelines.config.yaml_files import naming_the_faulty_file, place_of_key, read_yaml_file
from stablerep.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        (b"a: 1\nb: [1\n", 3, "is not YAML: expected ',' or ']'"),
        (b"a: 1\nb: caf\xe9\n", 2, "has the byte 0xE9, so it is not UTF-8; must be UTF-8"),
        (b"\xff\xfea\x00", 1, "has the byte 0xFF, so it is not UTF-8"),
        (b"a:\n\tb: 1\n", 2, "has a tab at the beginning of the line; must be indented with spaces"),
        (b"a: 1\nb: 2\na: 3\n", 3, "has the key 'a' twice"),
        (
            b"a: !!python/object/apply:os.getcwd []\n",
            1,
            "has the tag !!python/object/apply:os.getcwd; must",
        ),
        (b"a: 1\nb: !own 1\n", 2, "has the tag !own"),
        (b"a: 1\n---\nb: 2\n", 2, "is not YAML: but found another document"),
        (b"a: \x00\n", 1, "has a character that YAML does not allow"),
        (b"a: *b\n", 1, "is not YAML: found undefined alias"),
        (b"a:\n- 1\n- !!int x\n", 3, "has 'x', which cannot be read as !!int"),
        (b"a:\n  b: !!timestamp x\n", 2, "has 'x', which cannot be read as !!timestamp"),
        (b"a: 1\nb: " + b"9" * 5000, 2, "99999..., which cannot be read as !!int".replace("...", "...'")),
        (b"- a\n", 1, "is a list; must be a mapping"),
        (b"3\n", None, "must be a mapping of keys to values"),
        (b"3: 4\n", None, "has the key 3, which is not a string"),
        (b"a: &b [*b]\n", None, "is nested too deeply, or an alias"),
        (b"[" * 3000, None, "is nested too deeply"),
    ],
)
def test_a_file_that_is_no_yaml_is_named_with_the_line(
    tmp_path: Path, content: bytes, line: int | None, told: str
) -> None:
    path = tmp_path / "a.yml"
    path.write_bytes(content)
    place = f"{path}, line {line}: " if line else f"{path}: "
    with pytest.raises(ConfigError, match=f"^{re.escape(place)}.*{re.escape(told)}"):
        read_yaml_file(path)


@pytest.mark.parametrize(
    "content", [b"", b"# nothing\n", b"{}", b"\xef\xbb\xbfa: 1\n", b"a: ${b}\nb: 2e-4\n"]
)
def test_what_is_yaml_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.yml"
    path.write_bytes(content)
    assert set(read_yaml_file(path)) <= {"a", "b"}


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read \\(Is a directory\\)"):
        read_yaml_file(tmp_path)


def test_an_error_of_a_library_becomes_the_faulty_files(tmp_path: Path) -> None:
    sound, faulty = tmp_path / "sound.yml", tmp_path / "faulty.yml"
    sound.write_text("a: 1\n")
    faulty.write_text("a: [\n")
    with pytest.raises(ConfigError, match="faulty.yml"), naming_the_faulty_file([sound, faulty]):
        raise OSError("nameless")
    with pytest.raises(OSError, match="nameless"), naming_the_faulty_file([sound]):
        raise OSError("nameless")
    with pytest.raises(ConfigError, match="faulty.yml"), naming_the_faulty_file([sound, faulty]):
        raise ConfigError("seeds: got None")
    with pytest.raises(DataError), naming_the_faulty_file([faulty]):
        raise DataError("has its own message")


def test_the_place_of_a_key_is_that_of_the_last_file_that_has_it(tmp_path: Path) -> None:
    base, local = tmp_path / "base.yml", tmp_path / "local.yml"
    base.write_text("a:\n  b: 1\nc: 2\n")
    local.write_text("\nc: 3\n")
    assert place_of_key("a.b", [base, local]) == f"{base}, line 2"
    assert place_of_key("c", [base, local]) == f"{local}, line 2"
    assert place_of_key("d", [base, local]) is None
