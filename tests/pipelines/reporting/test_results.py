"""The script that writes the README's table of results from what a run kept."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from pipelines.reporting.results import FIGURES, PAGE, figures_of, main, table_of
from stablerep.reporting.content import NONE
from stablerep.reporting.record import write_record
from tests.stablerep.reporting.content import make_record

README = (
    "# Top\n\n<!-- results: python -m pipelines.reporting.results -->\nold\n<!-- end of results -->\n\nEnd\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    record = make_record()
    arms = record.metrics.drop_duplicates("arm").set_index("arm")
    sets = sorted(set(arms["images"]) - {NONE})
    configuration = record.configuration | {
        "arms": arms[arms["images"] != NONE][["method", "images"]].to_dict(orient="index"),
        "image_sets": {name: {"source": "generated"} for name in sets},
    }
    facts = {name: {"source": "generated", "num_images": 8, "num_captions": 2} for name in sets}
    kept = dataclasses.replace(record, configuration=configuration, image_sets=facts)
    write_record(tmp_path / "record", kept)
    (tmp_path / PAGE).write_text(README)
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_gets_the_figures_of_the_run_and_keeps_the_rest(folder: Path) -> None:
    assert main(["record"]) == 0
    figures = json.loads((folder / FIGURES).read_text())
    metrics = pd.read_parquet("record/metrics.parquet")
    first = metrics.iloc[0]
    of_arm = metrics[(metrics["arm"] == first["arm"]) & (metrics["set"] == first["set"])]
    same = of_arm[(of_arm["task"] == first["task"]) & (of_arm["evaluation"] == first["evaluation"])]
    mean = same[same["metric"] == "accuracy"]["value"].mean()
    [row] = [each for each in figures["rows"] if each["arm"] == first["arm"]]
    assert row["figures"][f"{first['set']}, {first['evaluation']}"][0] == pytest.approx(100 * mean, abs=0.06)
    page = (folder / PAGE).read_text()
    assert table_of(figures) in page and "old" not in page
    assert page.startswith("# Top\n") and page.endswith("\nEnd\n")
    assert main(["--check"]) == 0


def test_a_figure_that_was_changed_by_hand_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record"]) == 0
    page = folder / PAGE
    figures = json.loads((folder / FIGURES).read_text())
    value = figures["rows"][0]["figures"][next(iter(figures["rows"][0]["figures"]))][0]
    page.write_text(page.read_text().replace(f"| {value:.1f} (", f"| {value + 1:.1f} (", 1))
    assert main(["--check"]) == 1
    assert "its table is not that of docs/results.json" in capsys.readouterr().err


def test_references_are_in_italics_and_lacking_figures_are_dashes(folder: Path) -> None:
    figures = figures_of(folder / "record")
    figures["rows"][0]["figures"].popitem()
    lines = table_of(figures).splitlines()
    assert len(lines) == 2 + len(figures["rows"])
    assert " - |" in lines[2]
    assert [line.startswith("| *") for line in lines[2:]] == [row["is_reference"] for row in figures["rows"]]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "record/metrics.parquet").unlink(), "record: its record cannot be read"),
        (lambda folder: (folder / PAGE).write_text("# no table"), "around its table"),
    ],
)
def test_what_cannot_be_written_is_told_and_leaves_the_files(
    spoil, told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(folder)
    before = (folder / PAGE).read_text()
    assert main(["record"]) == 1
    assert told in capsys.readouterr().err
    assert (folder / PAGE).read_text() == before
    assert not (folder / FIGURES).exists()
