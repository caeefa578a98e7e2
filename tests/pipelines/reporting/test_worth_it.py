"""The script that writes the answer from what a run kept."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines.reporting.worth_it import main
from stablerep.reporting.content import ReportContent
from stablerep.reporting.record import RunRecord, write_record
from stablerep.reporting.worth_it import answer
from tests.stablerep.reporting.content import make_content
from tests.stablerep.reporting.test_worth_it import HIGH, LOW, equal_images


def keep(folder: Path, content: ReportContent) -> None:
    """Writes what a run keeps."""
    configuration = {
        "arms": content.arms,
        "image_sets": {name: dict(each.settings) for name, each in content.image_sets.items()},
        "reporting": {"num_bootstrap": content.num_bootstrap},
    }
    facts = {
        name: {"source": each.source, "num_images": each.num_images, "num_captions": each.num_captions}
        for name, each in content.image_sets.items()
    }
    images = pd.DataFrame({"set": [], "caption_id": [], "text": [], "picture": []}, dtype="str")
    tables = content.metrics, content.unit_scores, images
    write_record(
        folder, RunRecord("worth_it", list(content.seeds), "", [], configuration, facts, {}, *tables)
    )


def test_the_page_is_the_answer_of_the_runs_tables(tmp_path: Path) -> None:
    content = equal_images(LOW, HIGH)
    keep(tmp_path / "record", content)
    page = tmp_path / "docs/worth_it.md"
    assert main([str(tmp_path / "record"), str(page)]) == 0
    worth = answer(content)
    assert worth is not None
    lines = page.read_text().splitlines()
    assert lines[0] == "# Is synthetic worth it?" and worth.sentence in lines
    # what the record does not keep is no empty column
    assert "views" not in page.read_text()
    assert sum(line.startswith("| an equal number of images |") for line in lines) == 2


def test_a_run_of_another_experiment_has_no_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path / "record", make_content())
    assert main([str(tmp_path / "record"), str(tmp_path / "page.md")]) == 1
    assert "Run experiment=worth_it" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()
