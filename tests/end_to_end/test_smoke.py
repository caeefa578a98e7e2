"""The whole chain with the smoke experiment, as a user types it."""

import json

import mlflow
import pandas as pd
import pytest

pytestmark = pytest.mark.slow
ARMS = {
    "stablerep",
    "stablerep_plus",
    "simclr_synthetic",
    "clip_synthetic",
    "simclr_real",
    "clip_real",
    "stablerep_drawn",
}


def test_kedro_run_takes_captions_to_a_report_and_tracks_every_arm(checkout, run):
    finished = run("kedro", "run", "--params", "experiment=smoke")
    assert finished.returncode == 0, finished.stderr[-4000:]
    ledger = json.loads((checkout / "data/05_model_input/generation_ledger.json").read_text())
    assert ledger["num_made_images"] == 96 * 2
    metrics = pd.read_parquet(checkout / "data/07_model_output/metrics.parquet")
    assert set(metrics["arm"]) == ARMS | {"raw_pixels", "untrained"}
    assert metrics["value"].between(0, 1).all()
    assert (metrics["low"] <= metrics["value"]).all()
    assert (metrics["value"] <= metrics["high"]).all()
    page = (checkout / "data/08_reporting/report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    client = mlflow.MlflowClient(f"sqlite:///{checkout / 'mlflow/mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = client.search_runs(experiments)
    nested = [r for r in runs if "mlflow.parentRunId" in r.data.tags]
    assert {r.info.run_name for r in nested} >= ARMS
    assert all(r.info.status == "FINISHED" for r in runs)
    stablerep = next(r for r in nested if r.info.run_name == "stablerep")
    assert len(client.get_metric_history(stablerep.info.run_id, "loss")) > 1

    again = run("kedro", "run", "--pipelines", "generation", "--params", "experiment=smoke")
    assert again.returncode == 0, again.stderr[-4000:]
    ledger = json.loads((checkout / "data/05_model_input/generation_ledger.json").read_text())
    assert ledger["num_made_images"] == 0


def test_wrong_input_ends_with_one_message_and_leaves_what_was_there(checkout, run):
    captions = checkout / "data/01_raw/captions.csv"
    typo = run("kedro", "run", "--params", "generation.guidance_scal=3")
    assert typo.returncode == 1
    assert "guidance_scale" in typo.stderr
    assert "Traceback" not in typo.stderr

    out_of_range = run("kedro", "run", "--params", "generation.guidance_scale=-1")
    assert out_of_range.returncode == 1
    assert "generation.guidance_scale: got -1" in out_of_range.stderr

    text = captions.read_text()
    captions.write_text(text.replace("caption,", "kaption,", 1))
    header = run("kedro", "run", "--params", "experiment=smoke")
    assert header.returncode == 1
    assert "caption" in header.stderr
    assert "Traceback" not in header.stderr
    assert captions.read_text().startswith("kaption,")

    captions.unlink()
    missing = run("kedro", "run", "--params", "experiment=smoke")
    assert missing.returncode == 1
    assert "captions.csv" in missing.stderr

    captions.write_text(text)
    (checkout / "data/06_models/generator").rename(checkout / "elsewhere")
    gone = run("kedro", "run", "--params", "experiment=smoke")
    assert gone.returncode == 1
    assert "generator" in gone.stderr
    assert "Traceback" not in gone.stderr
