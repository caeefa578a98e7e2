"""The script that writes the page of claims from what a run kept."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines.reporting.claims import main
from stablerep.reporting.claims import claims_markdown
from stablerep.reporting.record import RunRecord, write_record
from tests.stablerep.reporting.test_claims import Run, run_of


def kept(folder: Path, run: Run) -> list[str]:
    """Writes what a run keeps; returns the arguments of the script."""
    configuration = {
        "arms": run.arms,
        "image_sets": run.image_sets,
        "reporting": {"num_bootstrap": run.num_bootstrap},
    }
    metrics = run.metrics.assign(images="w2", low=0.0, high=1.0, num_units=60)
    images = pd.DataFrame({"set": [], "caption_id": [], "text": [], "picture": []}, dtype="str")
    record = RunRecord(
        "claims", list(run.seeds), "", [], configuration, {}, {}, metrics, run.unit_scores, images
    )
    write_record(folder / "record", record)
    run.set_metrics.to_parquet(folder / "set_metrics.parquet")
    return [str(folder / name) for name in ("record", "set_metrics.parquet", "docs/claims.md")]


def test_the_page_is_that_of_the_runs_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of()
    arguments = kept(tmp_path, run)
    assert main(arguments) == 0
    assert Path(arguments[2]).read_text() == claims_markdown(run)
    assert "wrote " in capsys.readouterr().out


def test_a_run_that_is_not_there_is_reported_and_no_page_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = kept(tmp_path, run_of())
    Path(arguments[1]).unlink()
    assert main(arguments) == 1
    assert "set_metrics.parquet: missing" in capsys.readouterr().err
    arguments[0] = str(tmp_path / "nowhere")
    assert main(arguments) == 1
    assert "its record cannot be read" in capsys.readouterr().err
    assert not Path(arguments[2]).exists()


def test_other_numbers_of_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["one"]) == 2
    assert "usage:" in capsys.readouterr().err
