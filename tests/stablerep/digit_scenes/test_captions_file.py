"""The committed captions file, and what makes it."""

from pathlib import Path

import pandas as pd
import pytest

from stablerep.caption_ids import caption_id_of
from stablerep.digit_scenes.captions_file import LICENCE, NUM_CAPTIONS, SOURCE, main, write_captions
from stablerep.digit_scenes.grammar import read_caption
from stablerep.errors import DataError


def test_committed_captions_are_distinct_and_name_something(shipped_captions: Path) -> None:
    frame = pd.read_csv(shipped_captions)
    assert frame["caption"].map(caption_id_of).is_unique
    # "a digit" and "a number" name nothing: they are captions of any scene
    nothing = [text for text in frame["caption"] if not read_caption(text).named()]
    assert len(nothing) <= 0.01 * len(frame)
    assert (frame["source"].str.len() > 0).all()
    assert (frame["licence"].str.len() > 0).all()


def test_written_file_holds_what_was_asked_for(tmp_path: Path) -> None:
    write_captions(tmp_path / "new/captions.csv", 20)
    frame = pd.read_csv(tmp_path / "new/captions.csv")
    assert len(frame) == 20
    assert frame["caption"].is_unique
    assert set(frame["source"]) == {SOURCE}
    assert set(frame["licence"]) == {LICENCE}
    assert len((tmp_path / "new/captions.csv").read_text().splitlines()) == 1 + 20


def test_same_captions_every_time_and_fewer_are_the_first(tmp_path: Path) -> None:
    for name, num in (("a", 30), ("b", 30), ("c", 10)):
        write_captions(tmp_path / name, num)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes().startswith((tmp_path / "c").read_bytes())


def test_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("caption\nmine\n")
    with pytest.raises(DataError, match="not overwritten"):
        write_captions(path, 5)
    assert path.read_text() == "caption\nmine\n"


def test_command_writes_the_default_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "captions.csv"
    monkeypatch.setattr("sys.argv", ["captions_file", str(path)])
    assert main() == 0
    assert len(pd.read_csv(path)) == NUM_CAPTIONS
    assert main() == 1
    assert "not overwritten" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["captions_file"])
    assert main() == 2
