"""The whole chain with the smoke experiment, as a user types it."""

import hashlib
import json
from pathlib import Path
from typing import Any

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
    "supcon_real",
    "stablerep_rendered",
}


def test_kedro_run_takes_captions_to_a_report_and_tracks_every_arm(checkout, run):
    finished = run("kedro", "run", "--params", "experiment=smoke")
    assert finished.returncode == 0, finished.stderr[-4000:]
    assert ledger_of(checkout, "synthetic")["num_made_images"] == 96 * 2
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
    assert (checkout / "data/08_reporting/record/record.json").is_file()
    (whole,) = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    kept = {each.path for each in client.list_artifacts(whole.info.run_id, "record")}
    assert kept == {f"record/{each.name}" for each in (checkout / "data/08_reporting/record").iterdir()}
    stablerep = next(r for r in nested if r.info.run_name == "stablerep")
    assert len(client.get_metric_history(stablerep.info.run_id, "loss")) > 1

    again = run("kedro", "run", "--namespaces", "image_sets.synthetic", "--params", "experiment=smoke")
    assert again.returncode == 0, again.stderr[-4000:]
    assert ledger_of(checkout, "synthetic")["num_made_images"] == 0

    launch = ["torchrun", "--nproc-per-node", "2", "-m", "kedro", "run"]
    encoder = checkout / "data/06_models/encoders/stablerep/seed_0/encoder.safetensors"
    encoder.unlink()
    launched = run(*launch, "--namespaces", "training.stablerep", "--params", "experiment=smoke")
    assert launched.returncode == 0, launched.stderr[-4000:]
    assert encoder.is_file()
    of_arm = client.search_runs(experiments, "tags.mlflow.runName = 'stablerep'")
    assert len(of_arm) == 2, "one process of the two must track"
    refused = run(*launch, "--params", "experiment=smoke")
    assert refused.returncode != 0
    assert "--namespaces: got none under a launcher of 2 processes" in refused.stderr


def ledger_of(checkout: Path, image_set: str) -> dict[str, Any]:
    """What the last run drew of an image set."""
    described = checkout / f"data/05_model_input/{image_set}/finished/image_set.json"
    return json.loads(described.read_text())["facts"]["generation"]


def digests_of(folder: Path) -> dict[str, str]:
    """The content of every file, but for the lock that a run holds."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".run.lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def typo(checkout: Path) -> tuple[str, str]:
    return "generator.guidance_scal=3", "Did you mean 'guidance_scale'?"


def value_out_of_range(checkout: Path) -> tuple[str, str]:
    return "generator.guidance_scale=-1", "generator.guidance_scale: got -1"


def method_that_refuses_its_settings(checkout: Path) -> tuple[str, str]:
    return "experiment=smoke,method.simclr.temperature=0", "method.simclr.temperature: got 0"


def other_header(checkout: Path) -> tuple[str, str]:
    captions = checkout / "data/01_raw/captions.csv"
    captions.write_text(captions.read_text().replace("caption,", "kaption,", 1))
    return "experiment=smoke", "captions.csv"


def no_captions(checkout: Path) -> tuple[str, str]:
    (checkout / "data/01_raw/captions.csv").unlink()
    return "experiment=smoke", "captions.csv"


def too_few_captions(checkout: Path) -> tuple[str, str]:
    captions = checkout / "data/01_raw/captions.csv"
    captions.write_text("".join(captions.read_text().splitlines(keepends=True)[:11]))
    return "experiment=smoke", "captions: got 10; must be at least 64"


def no_generator(checkout: Path) -> tuple[str, str]:
    (checkout / "data/06_models/generator").rename(checkout / "elsewhere")
    return "experiment=smoke", "git checkout -- data/06_models/generator"


@pytest.mark.parametrize(
    "spoil",
    [
        typo,
        value_out_of_range,
        method_that_refuses_its_settings,
        other_header,
        no_captions,
        too_few_captions,
        no_generator,
    ],
)
def test_wrong_input_ends_with_one_message_and_leaves_what_was_there(checkout, run, spoil):
    params, told = spoil(checkout)
    # as of an earlier run: it must not be taken for nothing
    (checkout / "data/03_primary/curated_captions.parquet").write_bytes(b"of an earlier run")
    before = digests_of(checkout / "data")
    ended = run("kedro", "run", "--params", params)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "No nodes ran" not in ended.stderr
    assert "--from-nodes" not in ended.stderr
    assert digests_of(checkout / "data") == before
