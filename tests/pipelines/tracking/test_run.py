"""MLflow runs of a run, and what stands in them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
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
from pipelines.run.current import CURRENT
from pipelines.tracking.hooks import TrackingHooks
from stablerep.errors import ConfigError, DataError, GateError, StoppedError
from stablerep.image_sets.image_set import ImageSet
from stablerep.models.encoders import build_encoder
from tests.stablerep.image_sets.sets import rendered

PROJECT = Path(__file__).parents[3]
ENCODER = {"_target_": "stablerep.models.residual.ResidualEncoder", "channels": [4, 4], "size_px": 16}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables: making them takes seconds."""
    folder = tmp_path_factory.mktemp("store")
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.search_experiments()
    return folder / "mlflow.db"


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    values = compose(PROJECT / "conf/params", {"experiment": "smoke"})
    arm = {"method": "simclr", "images": "real", "training": {}, "if_possible": False}
    slow = arm | {"training": {"learning_rate": 0.001}}
    return values | {"arms": {"first": slow, "second": arm}}


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
            "data_docs": FolderDataset(str(project / "data_docs")),
            "image_set_of_real": MemoryDataset(rendered(project, "real"), copy_mode="assign"),
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
    mlflow.set_tracking_uri(f"sqlite:///{project / 'mlflow' / 'mlflow.db'}")
    found = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return {run.info.run_name: run for run in found}


def make_encoder(start: int, name: str = "first", seed: int = 0) -> Any:
    from stablerep.training.arms import TrainedArm

    history = pd.DataFrame(
        {"step": [start, 10], "loss": [2.0, 1.0], "note": ["a", "b"], "bad": [float("nan")] * 2}
    )
    weights = build_encoder(ENCODER).state_dict()
    return TrainedArm(name, "simclr", "real", seed, ENCODER, weights, history)


def score(encoder: Any) -> pd.DataFrame:
    row = {"seed": 0, "set": "scenes", "task": "digit", "evaluation": "knn", "metric": "accuracy"}
    values = {"value": 0.5, "low": 0.4, "high": 0.6}
    return pd.DataFrame([{"arm": arm, **row, **values} for arm in ("first", "pixels")])


def test_a_run_holds_configuration_arms_scores_and_seconds(project: Path, parameters: dict[str, Any]) -> None:
    from safetensors.torch import load_file

    from pipelines.tracking.captions import find_encoders

    nodes = [
        node(make_encoder, "start", "encoder_of_first_seed_0", name="train"),
        node(score, "encoder_of_first_seed_0", "metrics", name="score"),
    ]
    run_nodes(project, parameters, nodes, start=0)
    found = runs(project)
    parent, arm = found["smoke training"], found["first"]
    encoders = find_encoders(f"sqlite:///{project / 'mlflow' / 'mlflow.db'}", "source", "test")
    assert [(each.run_id, each.num_captions) for each in encoders] == [(arm.info.run_id, 3)]
    assert parent.info.status == arm.info.status == "FINISHED"
    assert arm.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.params["generator.num_inference_steps"] == "5"
    assert parent.data.tags["git.commit"] == "unknown"
    assert parent.data.metrics["pixels.seed_0.scenes.digit.knn.accuracy"] == 0.5
    assert {"seconds.train", "seconds.score"} <= set(parent.data.metrics)
    name = "scenes.digit.knn.accuracy"
    assert arm.data.metrics == {"loss": 1.0, name: 0.5, f"{name}.low": 0.4, f"{name}.high": 0.6}
    told = {"arm": "first", "seed": "0", "method": "simclr", "images": "real", "source": "rendered"}
    assert told.items() <= arm.data.params.items()
    assert arm.data.params["training.learning_rate"] == "0.001", "the arm's own"
    history = mlflow.MlflowClient().get_metric_history(arm.info.run_id, "loss")
    assert {(point.step, point.value) for point in history} == {(0, 2.0), (10, 1.0)}
    assert "train" in SecondsDataset(str(project / "seconds.json")).load()
    models = mlflow.search_logged_models(experiment_ids=[arm.info.experiment_id], output_format="list")
    assert mlflow.models.get_model_info(models[0].model_uri).signature is not None
    files = Path(mlflow.artifacts.download_artifacts(models[0].model_uri))
    assert not [path for path in files.rglob("*") if path.suffix in (".pkl", ".pth", ".pt", ".py")]
    images = np.random.default_rng(0).random((2, 3, 16, 16), dtype=np.float32)
    registered = mlflow.pyfunc.load_model("models:/stablerep-smoke@arm-first-seed-0")
    encoder = build_encoder(ENCODER)
    encoder.load_state_dict(load_file(files / "data/encoder/encoder.safetensors"))
    expected = encoder.eval()(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(registered.predict(images), expected, rtol=1e-5)
    kept = mlflow.artifacts.download_artifacts(run_id=parent.info.run_id, artifact_path="params.yaml")
    assert "num_inference_steps: 5" in Path(kept).read_text()


def test_an_arm_is_followed_while_it_is_trained(project: Path, parameters: dict[str, Any]) -> None:
    seen = []

    def train(start: int) -> Any:
        for step in (5, 10):
            CURRENT.tell("first", 0, {"step": step, "loss": 20.0 / step, "bad": float("nan")})
        mlflow.flush_async_logging()
        seen.append(runs(project)["first"])
        return make_encoder(start)

    run_nodes(project, parameters, [node(train, "start", "encoder_of_first_seed_0", name="train")], start=0)
    (then,), found = seen, runs(project)
    parent, arm = found["smoke training"], found["first"]
    assert len(found) == 2
    assert (then.info.status, then.data.metrics) == ("RUNNING", {"loss": 2.0})
    assert then.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert then.data.tags["mlflow.user"] == parent.data.tags["mlflow.user"]
    assert then.data.params["arm"] == "first"
    assert then.data.params["training.log_every"] == "4"
    assert (arm.info.run_id, arm.info.status) == (then.info.run_id, "FINISHED")
    history = mlflow.MlflowClient().get_metric_history(arm.info.run_id, "loss")
    # step 0 is a checkpoint's; step 10 was told already and is not written again
    assert sorted((point.step, point.value) for point in history) == [(0, 2.0), (5, 4.0), (10, 2.0)]
    CURRENT.tell("first", 0, {"step": 15, "loss": 0.0})  # a run that is over has no followers


@pytest.mark.parametrize(
    ("error", "status"), [(DataError("no images"), "FAILED"), (StoppedError("a signal"), "KILLED")]
)
def test_an_arm_that_fails_or_is_stopped_is_shown_so(
    project: Path, parameters: dict[str, Any], error: Exception, status: str
) -> None:
    def train(start: int) -> Any:
        CURRENT.tell("first", 0, {"step": 5, "loss": 1.0})
        raise error

    with pytest.raises(type(error)):
        run_nodes(
            project, parameters, [node(train, "start", "encoder_of_first_seed_0", name="train")], start=0
        )
    found = {name: run.info.status for name, run in runs(project).items()}
    assert found == {"smoke training": status, "first": status}


def test_an_arm_that_dies_is_shown_so(project: Path, parameters: dict[str, Any]) -> None:
    from pipelines.tracking.run import Tracker

    Tracker(project, of_images(project), parameters, "arms").log_row("second", 0, {"step": 5, "loss": 1.0})
    mlflow.flush_async_logging()
    mlflow.tracking.fluent._active_run_stack.get().clear()  # as a killed process leaves it
    Tracker(project, DataCatalog({}), parameters, "curation").finish()
    found = runs(project)
    assert found["second"].info.status == found["smoke arms"].info.status == "KILLED"


def failing(message: str) -> Callable[..., None]:
    """Returns a call of MLflow that fails as one to a store that cannot be used."""

    def fail(*_: Any, **__: Any) -> None:
        raise mlflow.MlflowException(message)

    return fail


def test_a_store_that_does_not_answer_costs_no_step(
    project: Path,
    parameters: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from pipelines.tracking.run import Tracker

    tracker = Tracker(project, of_images(project), parameters, "arms")
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "create_run", failing("away"))
        for step in (0, 10):
            tracker.log_row("first", 0, {"step": step, "loss": 1.0})
    assert caplog.text.count("first: MLflow has its metrics at its end, not before: away") == 1
    tracker.log_dataset("encoder_of_first_seed_0", make_encoder(0))
    tracker.finish()
    history = mlflow.MlflowClient().get_metric_history(runs(project)["first"].info.run_id, "loss")
    assert sorted((point.step, point.value) for point in history) == [(0, 2.0), (10, 1.0)]


def test_a_row_that_did_not_arrive_is_sent_again(
    project: Path, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.tracking.run import Tracker

    class Lost:
        def wait(self) -> None:
            raise mlflow.MlflowException("away")

    tracker = Tracker(project, of_images(project), parameters, "arms")
    tracker.log_row("first", 0, {"step": 0, "loss": 2.0})
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_batch", lambda *_, **__: Lost())
        tracker.log_row("first", 0, {"step": 10, "loss": 1.0})
    tracker.log_dataset("encoder_of_first_seed_0", make_encoder(0))
    tracker.finish()
    history = mlflow.MlflowClient().get_metric_history(runs(project)["first"].info.run_id, "loss")
    assert sorted((point.step, point.value) for point in history) == [(0, 2.0), (10, 1.0)]


def of_images(project: Path, *sets: ImageSet) -> DataCatalog:
    """Returns a catalog with finished image sets; `real` is always one."""
    found = {each.name: each for each in (rendered(project, "real"), *sets)}
    names = {f"image_set_of_{name}": each for name, each in found.items()}
    return DataCatalog({name: MemoryDataset(each, copy_mode="assign") for name, each in names.items()})


def test_a_training_logs_the_captions_of_each_image_set_once(
    project: Path, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.tracking import arms as tracked_arms
    from pipelines.tracking.run import Tracker

    logged = []
    monkeypatch.setattr(tracked_arms, "log_captions", lambda _, images, run: logged.append((images, run)))
    third = parameters["arms"]["first"] | {"images": "rendered"}
    with_third = parameters | {"arms": parameters["arms"] | {"third": third}}
    catalog = of_images(project, rendered(project, per_caption=1))
    tracker = Tracker(project, catalog, with_third, "arms")
    for name in ("first", "second", "third"):
        tracker.log_row(name, 0, {"step": 0, "loss": 1.0})
    tracker.finish()
    found = runs(project)
    parent = found["smoke arms"].info.run_id
    assert logged == [("real", parent), ("rendered", parent)]
    digests = [found[name].data.tags["captions.digest"] for name in ("first", "second", "third")]
    assert digests[0] == digests[1] != digests[2]


def test_an_arm_has_its_figures_over_all_seeds_with_an_interval_of_both(
    project: Path, parameters: dict[str, Any]
) -> None:
    from pipelines.tracking.run import Tracker
    from stablerep.reporting.intervals import Resampled

    tracker = Tracker(project, of_images(project), parameters | {"seeds": [0, 5, 7]}, "arms")
    tracker.log_row("first", 0, {"step": 1, "loss": 1.0})
    key = {"set": "scenes", "task": "digit", "evaluation": "knn", "metric": "accuracy"}
    rows = [
        {"arm": arm, "seed": seed, "unit": f"u{unit}", "score": (unit % 3 + seed) / 10, **key}
        for arm, seeds in (("first", (0, 5, 7)), ("earlier", (0, 5)), ("untrained", (0,)))
        for seed in seeds
        for unit in range(12)
    ]
    tracker.log_dataset("unit_scores", pd.DataFrame(rows))
    tracker.finish()
    found = runs(project)
    scores = pd.DataFrame(rows)
    expected = Resampled(scores[scores["arm"] != "untrained"], 10, 0)
    name = "scenes.digit.knn.accuracy"
    own, others = found["first"].data.metrics, found["smoke arms"].data.metrics
    for metrics, prefix, arm, seeds in ((own, "", "first", 3), (others, "earlier.", "earlier", 2)):
        interval = expected.interval(arm)
        assert metrics[prefix + name] == pytest.approx(interval.value)
        assert metrics[f"{prefix}{name}.low"] == pytest.approx(interval.low)
        assert metrics[f"{prefix}{name}.high"] == pytest.approx(interval.high)
        assert metrics[f"{prefix}{name}.num_seeds"] == seeds
    assert not any(metric.startswith("untrained") for metric in others)  # one seed: its own figures say it


def test_each_seed_of_an_arm_has_a_run_and_a_registered_encoder_of_its_own(
    project: Path, parameters: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    from pipelines.tracking.run import Tracker

    tracker = Tracker(project, of_images(project), parameters | {"seeds": [0, 5]}, "arms")
    for seed in (0, 5):
        tracker.log_dataset(f"encoder_of_first_seed_{seed}", make_encoder(0, seed=seed))
    assert "version" not in capfd.readouterr().err, "MLflow prints a line for each"
    row = {"set": "scenes", "task": "digit", "evaluation": "knn", "metric": "accuracy"}
    values = [{"arm": "first", "seed": seed, "value": 0.1 * seed, **row} for seed in (0, 5, 6)]
    tracker.log_dataset("metrics", pd.DataFrame(values).assign(low=0.0, high=1.0))
    tracker.finish()
    found = runs(project)
    name = "scenes.digit.knn.accuracy"
    scores = {run: found[run].data.metrics[name] for run in ("first seed 0", "first seed 5")}
    assert scores == {"first seed 0": 0.0, "first seed 5": 0.5}
    # the arm's run is above those of its seeds, and the run above the arm's
    above = {name: found[name].data.tags.get("mlflow.parentRunId") for name in found}
    assert above["first seed 0"] == above["first seed 5"] == found["first"].info.run_id
    assert above["first"] == found["smoke arms"].info.run_id and above["smoke arms"] is None
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    # a seed that was trained in an earlier session
    assert found["smoke arms"].data.metrics[f"first.seed_6.{name}"] == pytest.approx(0.6)
    client = mlflow.MlflowClient()
    versions = {
        seed: client.get_model_version_by_alias("stablerep-smoke", f"arm-first-seed-{seed}")
        for seed in (0, 5)
    }
    assert {seed: version.tags["seed"] for seed, version in versions.items()} == {0: "0", 5: "5"}
    assert versions[0].version != versions[5].version


def files_attached(run_id: str, folder: str) -> list[str]:
    there = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path=folder)
    below = [files_attached(run_id, each.path) if each.is_dir else [each.path] for each in there]
    return [path for paths in below for path in paths]


def refuse(page: Path) -> int:
    raise GateError("rule unique_caption_id: 2 rows", page)


@pytest.mark.parametrize("gate", ["captions", "synthetic/images"])
def test_a_gates_refusal_ends_the_run_as_failed_with_its_page(
    project: Path, parameters: dict[str, Any], gate: str
) -> None:
    for each in ("captions", "synthetic/images", "real/images"):  # the others' pages are an earlier run's
        (project / "data_docs" / each).mkdir(parents=True)
        (project / "data_docs" / each / "index.html").write_text("rows")
    page = project / f"data_docs/{gate}/index.html"
    with pytest.raises(GateError):
        run_nodes(project, parameters, [node(refuse, "start", "end", name="gate")], start=page)
    run = runs(project)["smoke training"]
    assert run.info.status == "FAILED"
    assert run.data.tags["error"] == "GateError: rule unique_caption_id: 2 rows"
    assert files_attached(run.info.run_id, "data_docs") == [f"data_docs/{gate}/index.html"]
    assert mlflow.active_run() is None


def test_the_next_run_marks_a_killed_one_of_its_folder_and_no_other(
    project: Path, parameters: dict[str, Any]
) -> None:
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


def test_trials_and_the_ledger_of_curation_are_logged(project: Path, parameters: dict[str, Any]) -> None:
    from pipelines.tracking.run import Tracker

    tracker = Tracker(project, DataCatalog({}), parameters, "tuning")
    # a score for each of many units is no parameter: MLflow's values are short
    row = {"trial": 0, "guidance_scale": 2.0, "value": 0.7, "state": "COMPLETE", "unit_scores": [0.5] * 9999}
    trials = pd.DataFrame([row])
    tracker.log_dataset("guidance_trials", trials)
    tracker.log_dataset("guidance_recommendation", {"sentences": ["guidance scale 3.0 (2.1 to 4.4)"]})
    filters = [{"filter": "length", "reasons": {"too_few_words": 3}}]
    tracker.log_dataset("curation_ledger", {"num_read": 9, "note": "x", "filters": filters})
    tracker.log_dataset("caption_set", trials)
    tracker.finish()
    found = runs(project)
    assert found["trial 0"].data.metrics["guidance_scale"] == 2.0
    assert found["trial 0"].data.params == {"state": "COMPLETE"}
    run_id = found["smoke tuning"].info.run_id
    recommended = mlflow.artifacts.load_dict(f"runs:/{run_id}/guidance_recommendation.json")
    assert recommended["sentences"] == ["guidance scale 3.0 (2.1 to 4.4)"]
    told = {"curation.num_read": 9.0, "curation.length.too_few_words": 3.0}
    assert found["smoke tuning"].data.metrics == told


def generated_set(folder: Path, name: str, scored: bool = True) -> ImageSet:
    """Sixteen images of four captions in shards, the first the worst aligned, and their ledgers."""
    from stablerep.storage.shards import SHARDS_FOLDER, digest_of, encode_image, write_shard

    data = {index: encode_image(torch.full((3, 8, 8), 60 * index, dtype=torch.uint8)) for index in range(4)}
    for caption in "abcd":
        write_shard(folder / name / SHARDS_FOLDER / f"{caption}.tar", [({"caption_id": caption}, data)])
    rows = [
        {"caption_id": caption, "image_index": index, "shard": f"{caption}.tar", "state": "intact"}
        | {"member": f"{caption}.{index}.png", "digest": digest_of(data[index]), "generator_id": "g-1"}
        | {"alignment": index / 4 if scored else float("nan")}
        for caption in "abcd"
        for index in range(4)
    ]
    manifest = pd.DataFrame(rows)
    captions = pd.DataFrame({"caption_id": list("abcd"), "text": "x", "source": "s", "licence": "l"})
    quantiles = {"q01": 0.1, "q50": None}
    facts = {
        "generation": {"num_made_images": 4, "generator_id": "x", "intact": True},
        "alignment": {"num_remade": 3, "threshold": None, "quantiles": quantiles, "scorer_id": "a-0"},
        "gate": {"success": True},
    }
    images = manifest.drop(columns="alignment")
    return ImageSet(name, "generated", images, captions, {name: "generated"}, folder / name, manifest, facts)


def logged_sets(project: Path, parameters: dict[str, Any], *sets: ImageSet) -> tuple[Any, set[str]]:
    """Returns the run that logged these sets, and the files in it."""
    from pipelines.tracking.run import Tracker

    tracker = Tracker(project, DataCatalog({}), parameters, "image_sets")
    for each in sets:
        tracker.log_dataset(f"image_set_of_{each.name}", each)
    tracker.finish()
    run = runs(project)["smoke image_sets"]
    folders = [each.name for each in sets]
    listed = [mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path=name) for name in folders]
    return run, {each.path for files in listed for each in files}


def test_a_generated_set_is_logged_with_pictures_of_its_images_and_of_the_worst_and_the_best(
    project: Path, parameters: dict[str, Any]
) -> None:
    run, files = logged_sets(project, parameters, generated_set(project, "w8"))
    assert run.data.metrics == {
        "w8.num_images": 16.0,
        "w8.num_captions": 4.0,
        "w8.generation.num_made_images": 4.0,
        "w8.alignment.num_remade": 3.0,
        "w8.alignment.q01": 0.1,
    }
    assert files == {"w8/images_of_captions.png", "w8/worst_and_best_aligned.png"}


def test_a_generated_set_without_scores_has_no_worst_image(project: Path, parameters: dict[str, Any]) -> None:
    _, files = logged_sets(project, parameters, generated_set(project, "w2", scored=False))
    assert files == {"w2/images_of_captions.png"}


def test_a_set_that_nothing_was_generated_for_is_logged_by_its_numbers(
    project: Path, parameters: dict[str, Any]
) -> None:
    sets = rendered(project), rendered(project, "real", per_caption=1)
    run, files = logged_sets(project, parameters, *sets)
    numbers = {"rendered.num_images": 6.0, "real.num_images": 3.0}
    assert run.data.metrics == numbers | {"rendered.num_captions": 3.0, "real.num_captions": 3.0}
    assert files == set()


def start(project: Path, parameters: dict[str, Any]) -> Any:
    from pipelines.tracking.run import Tracker

    return Tracker(project, DataCatalog({}), parameters, "arms")


@pytest.mark.parametrize("run_id", ["abc", "../../etc", "0" * 32])
def test_an_unknown_run_id_is_one_message(
    project: Path, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch, run_id: str
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    with pytest.raises(ConfigError, match=f"MLFLOW_RUN_ID: got '{run_id}'; must be the id of a run"):
        start(project, parameters)
    assert runs(project) == {}


def test_a_deleted_run_is_not_continued(
    project: Path, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(project, parameters).finish()
    run_id = runs(project)["smoke arms"].info.run_id
    mlflow.delete_run(run_id)
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    with pytest.raises(ConfigError, match="MLFLOW_RUN_ID"):
        start(project, parameters)


def test_a_run_id_is_continued_with_the_same_parameters_only(
    project: Path, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(project, parameters).finish()
    run_id = runs(project)["smoke arms"].info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    start(project, parameters).finish()
    assert [run.info.run_id for run in runs(project).values()] == [run_id]
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    with pytest.raises(ConfigError, match=f"MLFLOW_RUN_ID: run {run_id} has other parameters"):
        start(project, parameters | {"seeds": [7]})


def test_a_run_that_cannot_start_is_shown_as_failed(project: Path, parameters: dict[str, Any]) -> None:
    (project / "mlflow" / "artifacts").write_text("x")
    with pytest.raises(DataError, match=f"{project / 'mlflow' / 'mlflow.db'}: cannot be used as the store"):
        run_nodes(project, parameters, [node(lambda: 1, None, "one", name="one")])
    assert runs(project)["smoke training"].info.status == "FAILED"
    assert (project / "mlflow" / "artifacts").read_text() == "x"


def test_a_store_that_fails_while_nodes_run_is_one_message(
    project: Path,
    parameters: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("log_metric", "set_tag"):
        monkeypatch.setattr(mlflow, name, failing("database or disk is full"))
    with pytest.raises(DataError, match=r"cannot be used as the store of runs \(database or disk is full\)"):
        run_nodes(project, parameters, [node(lambda: 1, None, "one", name="one")])
    assert "MLflow could not store why the run ended: database or disk is full" in caplog.text
    assert runs(project)["smoke training"].info.status == "FAILED"


def test_a_node_that_fails_is_reported_also_where_the_store_fails(
    project: Path, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise DataError("captions.csv: no rows")

    for name in ("set_tag", "end_run"):
        monkeypatch.setattr(mlflow, name, failing("away"))
    with pytest.raises(DataError, match=r"captions\.csv"):
        run_nodes(project, parameters, [node(fail, None, "one", name="one")])
    monkeypatch.undo()


def test_an_experiment_is_made_without_a_line_of_mlflows(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # in a process of its own, with the project's logging, and a store of the user's
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project / 'mlflow' / 'mlflow.db'}")
    code = (
        "import logging.config, sys, yaml\n"
        "from pathlib import Path\n"
        "logging.config.dictConfig(yaml.safe_load(open('conf/logging.yml')))\n"
        "from pipelines.tracking import run, store\n"
        "import mlflow\n"
        "store.point_to_store(Path(sys.argv[1]))\n"
        "mlflow.start_run()\n"
        "mlflow.end_run()\n"
    )
    command = [sys.executable, "-c", code, str(project / "elsewhere")]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(runs(project)) == 1


def test_a_tracking_uri_of_the_environment_is_honoured(
    project: Path, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.tracking.store import point_to_store

    uri = f"sqlite:///{project / 'mlflow' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    point_to_store(elsewhere)
    assert mlflow.get_tracking_uri() == uri
    assert list(elsewhere.iterdir()) == []


def test_parameters_are_logged_in_several_calls_and_long_texts_are_cut() -> None:
    from pipelines.tracking.values import log_params

    class Client:
        calls: list[dict[str, str]] = []

        def log_batch(self, run_id: str, params: list[Any]) -> None:
            assert run_id == "one"
            self.calls.append({each.key: each.value for each in params})

    client = Client()
    log_params(client, "one", {f"key {n}": str(n) for n in range(150)} | {"long": "x" * 10_000})
    assert [len(call) for call in client.calls] == [100, 51]
    assert client.calls[0]["key 7"] == "7" and len(client.calls[1]["long"]) == 6000


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
