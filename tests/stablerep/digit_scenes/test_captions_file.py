"""The committed captions file, and what makes it."""

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from pipelines.config.loader import compose
from pipelines.curation.nodes import curate_captions
from stablerep.curation.people.edits import Edits
from stablerep.curation.people.takedowns import COLUMNS
from stablerep.digit_scenes.captions_file import (
    LICENCE,
    NUM_CAPTIONS,
    SOURCE,
    clean_captions,
    main,
    write_captions,
)
from stablerep.digit_scenes.grammar import read_caption
from stablerep.errors import DataError

PROJECT = Path(__file__).parents[3]


REASONS = {
    "exact_duplicate", "holds_url", "holds_mail_address", "another_language", "empty_text", "no_concept",
    "too_few_words", "too_many_words",
}  # fmt: skip


@pytest.fixture(scope="module")
def curated(shipped_captions: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], set[str]]:
    """What the shipped curation keeps of the committed file, and the reasons why it rejects the rest."""
    folder = tmp_path_factory.mktemp("curated")
    parameters = compose(PROJECT / "conf/params", {"corpus.path": str(shipped_captions)})
    for entry in parameters["curation"]["filters"]:
        if "concepts" in entry:
            entry["concepts"]["path"] = str(PROJECT / entry["concepts"]["path"])
    kept, rejected, _, _ = curate_captions(
        parameters["corpus"],
        pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String)).to_pandas(),
        Edits([], folder / "caption_edits.csv"),
        PROJECT / "data/06_models/generator",
        folder,
        parameters["curation"],
    )
    return kept.collect()["text"].to_list(), set(rejected.collect()["reason"])


def test_curation_finds_the_captions_of_the_grammar_among_the_flaws(curated) -> None:
    kept, reasons = curated
    assert kept == clean_captions()
    assert reasons == REASONS


def test_hardly_a_caption_names_nothing(curated) -> None:
    # "a digit" and "a number" name nothing: they are captions of any scene
    nothing = [text for text in curated[0] if not read_caption(text).named()]
    assert len(nothing) <= 0.01 * NUM_CAPTIONS


def test_every_committed_caption_has_a_source_and_a_licence(shipped_captions: Path) -> None:
    frame = pd.read_csv(shipped_captions)
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


def test_command_writes_the_committed_file(
    tmp_path: Path,
    shipped_captions: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "captions.csv"
    monkeypatch.setattr("sys.argv", ["captions_file", str(path)])
    assert main() == 0
    assert path.read_bytes() == shipped_captions.read_bytes()
    assert main() == 1
    assert "not overwritten" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["captions_file"])
    assert main() == 2
