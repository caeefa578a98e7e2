"""MLflow runs of a run, and what stands in them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from kedro.framework.hooks import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner

from pipelines.config.loader import compose
from pipelines.datasets import FolderDataset, SecondsDataset
from pipelines.tracking import live_rows
from pipelines.tracking.hooks import TrackingHooks
from stablerep.errors import DataError, GateError, StoppedError
from stablerep.models.encoders import build_encoder

PROJECT = Path(__file__).parents[3]
ENCODER = {"_target_": "stablerep.models.residual.ResidualEncoder", "channels": [4, 4], "size_px": 16}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables: making them takes seconds."""
    import mlflow

    folder = tmp_path_factory.mktemp("store")
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.search_experiments()
    return folder / "mlflow.db"


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    values = compose(PROJECT / "conf/params", {"experiment": "smoke"})
    return values | {
        "arms": [{"name": name, "method": "simclr", "images": "real"} for name in ("first", "second")]
    }


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project's folder with its own store."""
    from pipelines.tracking.run import end_open_runs

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").write_bytes(empty_store.read_bytes())
    yield tmp_path
    end_open_runs("KILLED")
    os.environ.pop("MLFLOW_TRACKING_URI", None)


def run_nodes(project: Path, parameters: dict[str, Any], nodes: list[Any], **datasets: Any) -> TrackingHooks:
    hooks = TrackingHooks()
    hooks._parameters, hooks._project = parameters, project
    catalog = DataCatalog(
        {
            "stage_seconds": SecondsDataset(str(project / "seconds.json")),
            "data_docs": FolderDataset(str(project / "docs")),
            **{name: MemoryDataset(value) for name, value in datasets.items()},
        }
    )
    manager = _create_hook_manager()
    manager.register(hooks)
    pipeline = Pipeline(nodes)
    run_params = {"pipeline_names": ["training"]}
    manager.hook.before_pipeline_run(run_params=run_params, pipeline=pipeline, catalog=catalog)
    try:
        SequentialRunner().run(pipeline, catalog, manager)
    except Exception as error:
        manager.hook.on_pipeline_error(error=error, run_params=run_params, pipeline=pipeline, catalog=catalog)
        raise
    manager.hook.after_pipeline_run(run_params=run_params, run_result={}, pipeline=pipeline, catalog=catalog)
    return hooks


def runs(project: Path) -> dict[str, Any]:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{project / 'mlflow' / 'mlflow.db'}")
    found = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return {run.info.run_name: run for run in found}


def make_encoder(start: int, name: str = "first") -> Any:
    from stablerep.training.arms import TrainedArm

    history = pd.DataFrame(
        {"step": [start, 10], "loss": [2.0, 1.0], "note": ["a", "b"], "bad": [float("nan")] * 2}
    )
    weights = build_encoder(ENCODER).state_dict()
    return TrainedArm(name, "simclr", "real", ENCODER, weights, history)


def score(encoder: Any) -> pd.DataFrame:
    row = {"method": "simclr", "images": "real", "attribute": "digit", "metric": "knn"}
    values = {"value": 0.5, "low": 0.4, "high": 0.6}
    return pd.DataFrame([{"arm": "first", **row, **values}, {"arm": "pixels", **row, **values}])


def test_a_run_holds_configuration_arms_scores_and_seconds(project: Path, parameters: dict[str, Any]) -> None:
    import mlflow
    from safetensors.torch import load_file

    from pipelines.tracking.captions import find_encoders

    nodes = [
        node(make_encoder, "start", "encoder_of_first", name="train"),
        node(score, "encoder_of_first", "metrics", name="score"),
    ]
    captions = pd.DataFrame({"caption_id": ["c-1"], "source": ["one"], "licence": ["CC0-1.0"]})
    images = pd.DataFrame({"caption_id": ["c-1"], "generator_id": ["g-1"]})
    taken = {"caption_set": captions, "accepted_images": images, "image_store": project}
    run_nodes(project, parameters, nodes, start=0, **taken)
    found = runs(project)
    parent, arm = found["smoke training"], found["first"]
    encoders = find_encoders(f"sqlite:///{project / 'mlflow' / 'mlflow.db'}", "source", "one")
    assert [(each.run_id, each.num_captions) for each in encoders] == [(arm.info.run_id, 1)]
    assert arm.data.tags["captions.generator_id"] == "g-1"
    assert parent.info.status == arm.info.status == "FINISHED"
    assert arm.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.params["generation.num_inference_steps"] == "5"
    assert parent.data.tags["git.commit"] == "unknown"
    assert parent.data.metrics["pixels.knn.digit"] == 0.5
    assert {"seconds.train", "seconds.score"} <= set(parent.data.metrics)
    assert arm.data.metrics == {"loss": 1.0, "knn.digit": 0.5, "knn.digit.low": 0.4, "knn.digit.high": 0.6}
    history = mlflow.MlflowClient().get_metric_history(arm.info.run_id, "loss")
    assert {(point.step, point.value) for point in history} == {(0, 2.0), (10, 1.0)}
    assert "train" in SecondsDataset(str(project / "seconds.json")).load()
    models = mlflow.search_logged_models(experiment_ids=[arm.info.experiment_id], output_format="list")
    assert mlflow.models.get_model_info(models[0].model_uri).signature is not None
    files = Path(mlflow.artifacts.download_artifacts(models[0].model_uri))
    assert not [path for path in files.rglob("*") if path.suffix in (".pkl", ".pth", ".pt", ".py")]
    images = np.random.default_rng(0).random((2, 3, 16, 16), dtype=np.float32)
    registered = mlflow.pyfunc.load_model("models:/stablerep-smoke@arm-first")
    encoder = build_encoder(ENCODER)
    encoder.load_state_dict(load_file(files / "data/encoder/encoder.safetensors"))
    expected = encoder.eval()(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(registered.predict(images), expected, rtol=1e-5)
    kept = mlflow.artifacts.download_artifacts(run_id=parent.info.run_id, artifact_path="params.yaml")
    assert "num_inference_steps: 5" in Path(kept).read_text()


def test_an_arm_is_followed_while_it_is_trained(project: Path, parameters: dict[str, Any]) -> None:
    import mlflow

    seen = []

    def train(start: int) -> Any:
        for step in (5, 10):
            live_rows.tell("first", {"step": step, "loss": 20.0 / step, "bad": float("nan")})
        mlflow.flush_async_logging()
        seen.append(runs(project)["first"])
        return make_encoder(start)

    run_nodes(project, parameters, [node(train, "start", "encoder_of_first", name="train")], start=0)
    (then,), found = seen, runs(project)
    parent, arm = found["smoke training"], found["first"]
    assert len(found) == 2
    assert (then.info.status, then.data.metrics) == ("RUNNING", {"loss": 2.0})
    assert then.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert then.data.tags["mlflow.user"] == parent.data.tags["mlflow.user"]
    assert then.data.params["arm"] == "first"
    assert then.data.params["optimisation.log_every"] == "4"
    assert (arm.info.run_id, arm.info.status) == (then.info.run_id, "FINISHED")
    history = mlflow.MlflowClient().get_metric_history(arm.info.run_id, "loss")
    # step 0 is a checkpoint's; step 10 was told already and is not written again
    assert sorted((point.step, point.value) for point in history) == [(0, 2.0), (5, 4.0), (10, 2.0)]
    live_rows.tell("first", {"step": 15, "loss": 0.0})  # nobody follows a run that is over


@pytest.mark.parametrize(
    ("error", "status"), [(DataError("no images"), "FAILED"), (StoppedError("a signal"), "KILLED")]
)
def test_an_arm_that_fails_or_is_stopped_is_shown_so(
    project: Path, parameters: dict[str, Any], error: Exception, status: str
) -> None:
    def train(start: int) -> Any:
        live_rows.tell("first", {"step": 5, "loss": 1.0})
        raise error

    with pytest.raises(type(error)):
        run_nodes(project, parameters, [node(train, "start", "encoder_of_first", name="train")], start=0)
    found = {name: run.info.status for name, run in runs(project).items()}
    assert found == {"smoke training": status, "first": status}


def test_an_arm_that_dies_is_shown_so(project: Path, parameters: dict[str, Any]) -> None:
    import mlflow

    from pipelines.tracking.run import Tracker

    Tracker(project, DataCatalog({}), parameters, "arms").log_row("second", {"step": 5, "loss": 1.0})
    mlflow.flush_async_logging()
    mlflow.tracking.fluent._active_run_stack.get().clear()  # as a killed process leaves it
    Tracker(project, DataCatalog({}), parameters, "curation").finish()
    found = runs(project)
    assert found["second"].info.status == found["smoke arms"].info.status == "KILLED"


def test_a_store_that_does_not_answer_costs_no_step(
    project: Path,
    parameters: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import mlflow

    from pipelines.tracking.run import Tracker

    def refuse(*_: Any, **__: Any) -> None:
        raise mlflow.MlflowException("away")

    tracker = Tracker(project, DataCatalog({}), parameters, "arms")
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "create_run", refuse)
        for step in (0, 10):
            tracker.log_row("first", {"step": step, "loss": 1.0})
    assert caplog.text.count("first: MLflow has its metrics at its end, not before: away") == 1
    tracker.log_dataset("encoder_of_first", make_encoder(0))
    tracker.finish()
    history = mlflow.MlflowClient().get_metric_history(runs(project)["first"].info.run_id, "loss")
    assert sorted((point.step, point.value) for point in history) == [(0, 2.0), (10, 1.0)]


def test_a_row_that_did_not_arrive_is_sent_again(
    project: Path, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    from pipelines.tracking.run import Tracker

    class Lost:
        def wait(self) -> None:
            raise mlflow.MlflowException("away")

    tracker = Tracker(project, DataCatalog({}), parameters, "arms")
    tracker.log_row("first", {"step": 0, "loss": 2.0})
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_batch", lambda *_, **__: Lost())
        tracker.log_row("first", {"step": 10, "loss": 1.0})
    tracker.log_dataset("encoder_of_first", make_encoder(0))
    tracker.finish()
    history = mlflow.MlflowClient().get_metric_history(runs(project)["first"].info.run_id, "loss")
    assert sorted((point.step, point.value) for point in history) == [(0, 2.0), (10, 1.0)]


def test_a_training_logs_its_captions_once_however_many_arms_it_has(
    project: Path, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.tracking import arms as tracked_arms
    from pipelines.tracking.run import Tracker

    captions = pd.DataFrame({"caption_id": ["c-1"], "generator_id": ["g-1"]})
    logged = []
    monkeypatch.setattr(tracked_arms, "captions_of_arms", lambda catalog: captions)
    monkeypatch.setattr(tracked_arms, "log_captions", lambda table, run_id: logged.append(run_id))
    tracker = Tracker(project, DataCatalog({}), parameters, "arms")
    for name in ("first", "second"):
        tracker.log_dataset(f"encoder_of_{name}", make_encoder(0, name))
    tracker.finish()
    found = runs(project)
    assert logged == [found["smoke arms"].info.run_id]
    tags = {found[name].data.tags["captions.digest"] for name in ("first", "second")}
    assert len(tags) == 1


def refuse(page: Path) -> int:
    raise GateError("rule unique_caption_id: 2 rows", page)


def test_a_gates_refusal_ends_the_run_as_failed_with_its_page(
    project: Path, parameters: dict[str, Any]
) -> None:
    import mlflow

    for gate in ("captions", "images"):  # the images' page is an earlier run's
        (project / "docs" / gate).mkdir(parents=True)
        (project / "docs" / gate / "index.html").write_text("rows")
    page = project / "docs/captions/index.html"
    with pytest.raises(GateError):
        run_nodes(project, parameters, [node(refuse, "start", "end", name="gate")], start=page)
    run = runs(project)["smoke training"]
    assert run.info.status == "FAILED"
    assert run.data.tags["error"] == "GateError: rule unique_caption_id: 2 rows"
    (attached,) = mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="data_docs")
    assert attached.path == "data_docs/captions"
    assert mlflow.active_run() is None


def test_the_next_run_marks_a_killed_one_of_its_folder_and_no_other(
    project: Path, parameters: dict[str, Any]
) -> None:
    import mlflow

    from pipelines.tracking.run import Tracker

    Tracker(project, DataCatalog({}), parameters, "tuning")
    mlflow.set_tag("mlflow.runName", "elsewhere")
    mlflow.set_tag("place", "another:/folder")
    client, (elsewhere,) = mlflow.MlflowClient(), [mlflow.active_run().info.run_id]
    mlflow.tracking.fluent._active_run_stack.get().clear()  # as a killed process leaves it
    Tracker(project, DataCatalog({}), parameters, "curation")
    killed = mlflow.active_run().info.run_id
    mlflow.tracking.fluent._active_run_stack.get().clear()
    Tracker(project, DataCatalog({}), parameters, "curation").finish()
    found = {run: client.get_run(run).info.status for run in (elsewhere, killed)}
    assert found == {elsewhere: "RUNNING", killed: "KILLED"}


def test_trials_and_ledger_are_logged(project: Path, parameters: dict[str, Any]) -> None:
    from pipelines.tracking.run import Tracker

    tracker = Tracker(project, DataCatalog({}), parameters, "tuning")
    trials = pd.DataFrame([{"trial": 0, "guidance_scale": 2.0, "value": 0.7, "state": "COMPLETE"}])
    tracker.log_dataset("guidance_trials", trials)
    tracker.log_dataset("generation_ledger", {"num_made_images": 4, "generator_id": "x"})
    tracker.log_dataset("caption_set", trials)
    tracker.finish()
    found = runs(project)
    assert found["trial 0"].data.metrics["guidance_scale"] == 2.0
    assert found["trial 0"].data.params == {"state": "COMPLETE"}
    assert found["smoke tuning"].data.metrics == {"generation.num_made_images": 4.0}


def test_alignment_is_logged_with_a_picture_of_the_worst_and_the_best(
    project: Path, parameters: dict[str, Any]
) -> None:
    import mlflow

    from pipelines.tracking.run import Tracker
    from stablerep.storage.shards import SHARDS_FOLDER, digest_of, encode_image, write_shard

    data = {index: encode_image(torch.full((3, 8, 8), 60 * index, dtype=torch.uint8)) for index in range(4)}
    for caption in "abcd":
        write_shard(project / SHARDS_FOLDER / f"{caption}.tar", [({"caption_id": caption}, data)])
    rows = [
        {"caption_id": caption, "image_index": index, "shard": f"{caption}.tar", "state": "intact"}
        | {"member": f"{caption}.{index}.png", "digest": digest_of(data[index]), "alignment": index / 4}
        for caption in "abcd"
        for index in range(4)
    ]
    tracker = Tracker(project, DataCatalog({"image_store": MemoryDataset(project)}), parameters, "generation")
    tracker.log_dataset("image_manifest", pd.DataFrame(rows))
    quantiles = {"q01": 0.1, "q50": None}
    ledger = {"num_remade": 3, "mean": 0.5, "threshold": None, "quantiles": quantiles, "scorer_id": "a-0"}
    tracker.log_dataset("alignment_ledger", ledger)
    tracker.log_dataset("image_manifest", pd.DataFrame(rows).assign(alignment=float("nan")))
    tracker.finish()
    run = runs(project)["smoke generation"]
    assert run.data.metrics == {"alignment.num_remade": 3, "alignment.mean": 0.5, "alignment.q01": 0.1}
    files = {each.path for each in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}
    assert {"images_of_captions.png", "worst_and_best_aligned.png"} <= files


def test_a_tracking_uri_of_the_environment_is_honoured(
    project: Path, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    from pipelines.tracking.run import point_to_store

    uri = f"sqlite:///{project / 'mlflow' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    point_to_store(elsewhere)
    assert mlflow.get_tracking_uri() == uri
    assert list(elsewhere.iterdir()) == []


def test_flatten_joins_keys_and_cuts_long_texts() -> None:
    from pipelines.tracking.values import flatten

    flat = flatten({"a": {"b": 1, "c": [1, 2]}, "d": "x" * 10_000})
    assert flat["a.b"] == "1"
    assert flat["a.c"] == "[1, 2]"
    assert len(flat["d"]) == 6000


def test_git_state_tells_commit_and_dirt(tmp_path: Path) -> None:
    from pipelines.tracking.run import git_state

    assert git_state(tmp_path / "none")["git.commit"] == "unknown"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    state = git_state(tmp_path)
    assert len(state["git.commit"]) == 40
    assert state["git.dirty"] == "False"
    (tmp_path / "file").write_text("x")
    assert git_state(tmp_path)["git.dirty"] == "True"


def test_hooks_without_a_run_do_nothing() -> None:
    hooks = TrackingHooks()
    hooks.after_dataset_saved("metrics", None)
    hooks.after_pipeline_run()
    hooks.on_pipeline_error(DataError("x"))
    assert mlflow.active_run() is None
