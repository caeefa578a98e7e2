"""`stablerep compare`, on folders and on runs in MLflow."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner, Result

from pipelines.commands import attribution
from pipelines.commands.stablerep import stablerep
from pipelines.tracking.run import RECORD_FOLDER, log_record
from pipelines.tracking.store import EXPERIMENT
from stablerep.reporting.record import read_record, write_record
from tests.stablerep.reporting.content import make_record

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(attribution, "PROJECT", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "conf/local").mkdir(parents=True)
    for name in ("base", "params"):
        (tmp_path / "conf" / name).symlink_to(ROOT / "conf" / name)
    yield tmp_path
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture
def tracked(project: Path) -> dict[str, str]:
    """Two whole runs of one name, one without a record, and an arm; label -> id."""
    mlflow.set_tracking_uri(f"sqlite:///{project / 'mlflow/mlflow.db'}")
    mlflow.create_experiment(EXPERIMENT, artifact_location=(project / "artifacts").as_uri())
    mlflow.set_experiment(EXPERIMENT)
    ids = {}
    for label, name in (("one", "animals default"), ("two", "animals default"), ("bare", "animals training")):
        with mlflow.start_run(run_name=name) as run:
            ids[label] = run.info.run_id
            if label != "bare":
                log_record(replace(make_record(), headline=f"headline of {label}"))
            else:
                with mlflow.start_run(run_name="clip", nested=True) as arm:
                    ids["arm"] = arm.info.run_id
    return ids


def call(*arguments: object) -> Result:
    return CliRunner().invoke(stablerep, ["compare", *map(str, arguments)])


def test_folders_and_tracked_runs_are_compared_on_one_page(project: Path, tracked: dict[str, str]) -> None:
    write_record(project / "elsewhere/data/08_reporting/record", make_record())
    done = call("elsewhere", tracked["one"], tracked["two"][:8], "--output", "pages/page.html")
    assert done.exit_code == 0, done.output
    page = (project / "pages/page.html").read_text()
    assert "3 runs compared" in page
    assert "headline of one" in page and "headline of two" in page
    assert f"animals default ({tracked['one'][:8]})" in page and "<b>elsewhere</b> (baseline)" in page


@pytest.mark.parametrize("below", [".", "record", "08_reporting/record", "data/08_reporting/record"])
def test_a_folder_is_a_record_or_has_one(project: Path, below: str) -> None:
    for name in ("one", "two"):
        write_record(project / name / below, make_record())
    done = call("one", "two")
    assert done.exit_code == 0, done.output
    assert (project / "data/08_reporting/comparison.html").is_file()


def test_a_record_comes_back_from_a_tracked_run(project: Path, tracked: dict[str, str]) -> None:
    path = mlflow.artifacts.download_artifacts(run_id=tracked["two"], artifact_path=RECORD_FOLDER)
    assert read_record(Path(path)).headline == "headline of two"


def test_runs_that_cannot_be_compared_are_refused_with_what_to_do(
    project: Path, tracked: dict[str, str]
) -> None:
    (project / "empty").mkdir()
    write_record(project / "one", make_record())
    for run, told in (
        (
            "animals trainings",
            "is neither a folder nor a run in MLflow; must be one of animals default, animals tr",
        ),
        ("animals default", "2 runs have this name; give the id of one:"),
        ("animals training", "has no record to compare. Make one there with `kedro run --pipelines rep"),
        (tracked["arm"], f"is an arm or a trial of run {tracked['bare']}; must be a whole run."),
        ("empty", "empty: has no record of a run, neither here nor in data/08_reporting/record."),
        ("one", "run 'one': is given twice, as one; each run must be given once."),
    ):
        done = call("one", run)
        assert done.exit_code == 1 and told in done.output, done.output
    assert tracked["two"] in call("one", "animals default").output
    write_record(project / "bad", make_record())
    (project / "bad/metrics.parquet").write_bytes(b"no table")
    assert "run bad: its record cannot be read (" in call("one", "bad").output
    assert "compare: got 1 run; must be at least two" in call("one").output
    assert not (project / "data").exists()


def test_without_a_store_a_name_is_refused(project: Path) -> None:
    write_record(project / "one", make_record())
    done = call("one", "animals")
    assert done.exit_code == 1 and "no run is tracked yet" in done.output
    assert not (project / "mlflow/mlflow.db").exists()
