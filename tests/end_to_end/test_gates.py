"""A planted fault stops the run: exit code 1, rule or check, rows, the page, and a FAILED run in MLflow."""

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from stablerep.caption_ids import caption_id_of

pytestmark = pytest.mark.slow


def failed_run(checkout: Path) -> mlflow.entities.Run:
    client = mlflow.MlflowClient(f"sqlite:///{checkout / 'mlflow/mlflow.db'}")
    (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()], max_results=1)
    assert run.info.status == "FAILED"
    return run


def attached(checkout: Path, run: mlflow.entities.Run) -> set[str]:
    folder = checkout / "mlflow/artifacts" / run.info.run_id / "artifacts"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_failing_caption_gate_ends_the_run_before_an_image_is_made(checkout, run):
    captions = checkout / "data/01_raw/captions.csv"
    captions.write_text(captions.read_text() + "".join(f"a seven {n},mine,CC0-1.0\n" for n in range(700)))
    held_out = checkout / "data/01_raw/evaluation_captions.csv"
    held_out.write_text(held_out.read_text() + "A brown ZERO.\n")
    ended = run("kedro", "run")
    assert ended.returncode == 1
    page = checkout / "data/08_reporting/data_docs/captions/index.html"
    for told in (
        "GateError: gate captions: 2 of ",
        "no_evaluation_caption",
        f"caption_id '{caption_id_of('a brown zero')}', text 'a brown zero', line 2",
        "no_term_prevails",
        "group 'digit', term 'seven'",
        str(page),
    ):
        assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (checkout / "data/03_primary/caption_set.parquet").exists()
    assert not (checkout / "data/05_model_input/synthetic").exists()
    tracked = failed_run(checkout)
    assert "no_term_prevails" in tracked.data.tags["error"]
    assert "data_docs/captions/index.html" in attached(checkout, tracked)

    # the same fault, said to be none: the page still tells, and the run goes on
    severity = "severity=warn"
    rules = ["captions.no_evaluation_caption", "terms.no_term_prevails"]
    params = ",".join(f"validation.{rule}.{severity}" for rule in rules)
    passed = run("kedro", "run", "--pipelines", "validation", "--params", params)
    assert passed.returncode == 0, passed.stderr[-4000:]
    report = json.loads((checkout / "data/03_primary/caption_gate.json").read_text())
    warned = [rule["name"] for rule in report["rules"] if not rule["success"]]
    assert warned == ["no_evaluation_caption", "no_term_prevails"]
    assert "warns" in page.read_text()


def test_a_wrong_table_stops_at_the_node_with_column_check_and_rows(checkout, run):
    made = run("kedro", "run", "--pipelines", "curation")
    assert made.returncode == 0, made.stderr[-4000:]
    path = checkout / "data/03_primary/curated_captions.parquet"
    frame = pd.read_parquet(path)
    frame.loc[3, "text"] = ""
    frame.to_parquet(path, index=False)
    ended = run("kedro", "run", "--pipelines", "validation")
    assert ended.returncode == 1
    assert "dataset 'curated_captions', which node 'curate_captions' makes, is refused" in ended.stderr
    assert "column 'text': str_length(1, None)" in ended.stderr
    assert f"row 3 ({frame.caption_id[3]}): ''" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (checkout / "data/03_primary/caption_set.parquet").exists()
    assert "column 'text'" in failed_run(checkout).data.tags["error"]
