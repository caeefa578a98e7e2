"""Disks that are full or read-only, and files and folders that stand in each other's place."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.campaign.damage import Spoil, as_file, as_folder, forbidden, remove
from tests.campaign.outcome import OBEYING_MODES, Case, kedro_run, on_full_disk, params

_CURATION = kedro_run("--pipelines", "curation")
_VALIDATION = kedro_run("--pipelines", "validation")
_EVALUATION = kedro_run("--pipelines", "evaluation")
_REPORT = kedro_run("--pipelines", "reporting")
# other values, so that there is something to make
_SET = params("generator.guidance_scale=3.3", "--namespaces", "image_sets.synthetic")
_ARM = params("training.learning_rate=0.001", "--namespaces", "training.clip_real")
# MLflow's own file is larger than the tables whose disk is full here
_STORE_IN_MEMORY = {"MLFLOW_TRACKING_URI": "sqlite:///:memory:"}
# the ledger notes what is to be drawn before the model is loaded
_OF_SET = ("05_model_input/synthetic.ledger.json",)


def _full(name: str, kilobytes: int, command: tuple[str, ...], says: str, spoil: Spoil | None = None) -> Case:
    nothing: Spoil = lambda project: None  # noqa: E731
    return Case(
        f"a full disk met by {name}",
        on_full_disk(kilobytes, command),
        says,
        spoil or nothing,
        environment=_STORE_IN_MEMORY,
        rewrites=_OF_SET if command == _SET else (),
    )


def _read_only(path: str, command: tuple[str, ...], rewrites: tuple[str, ...] = ()) -> Case:
    name = f"a read-only folder: {path}"
    return Case(name, (*OBEYING_MODES, *command), path, rewrites=rewrites, meanwhile=forbidden(path))


def _unreadable(path: str, command: tuple[str, ...]) -> Case:
    name = f"a file that may not be read: {path}"
    return Case(name, (*OBEYING_MODES, *command), path, meanwhile=forbidden(path, "read"))


def _another_run(project: Path) -> AbstractContextManager[Any]:
    from filelock import FileLock

    return FileLock(project / "data/.run.lock")


CASES = [
    Case("a full disk met by MLflow's store", on_full_disk(200, _CURATION), "mlflow.db"),
    _full("the working files of a curation", 16, _CURATION, "free some space"),
    _full("the pages of a validation", 20, _VALIDATION, "data_docs"),
    _full("the shards of an image set", 200, _SET, ".tar"),
    _full(
        "the features of an evaluation", 2000, _EVALUATION, ".npy", remove("data/02_intermediate/features")
    ),
    _full("a report", 100, _REPORT, "data/08_reporting/"),
    Case("a full disk met by a checkpoint", on_full_disk(2000, _ARM), "data/02_intermediate/training/"),
    Case(
        "a read-only data/ without a lock",
        (*OBEYING_MODES, *_CURATION),
        ".run.lock",
        remove("data/.run.lock"),
        meanwhile=forbidden("data"),
    ),
    _read_only("mlflow", _CURATION),
    _read_only("data/03_primary", _CURATION),
    _read_only("data/05_model_input/synthetic", _SET),
    _read_only("data/05_model_input/synthetic/shards", _SET, _OF_SET),
    _read_only("data/02_intermediate/training", _ARM),
    _read_only("data/06_models/encoders/clip_real", _ARM),
    _read_only("data/02_intermediate/features", _EVALUATION),
    _read_only("data/08_reporting", _REPORT),
    _unreadable("data/01_raw/captions.csv", _CURATION),
    _unreadable("data/01_raw/caption_edits.csv", _CURATION),
    _unreadable("data/03_primary/caption_gate.json", _REPORT),
    _unreadable("data/03_primary/evaluation_sets/scenes.parquet", _EVALUATION),
    _unreadable("data/06_models/generator/unet/diffusion_pytorch_model.safetensors", _SET),
    _unreadable("data/06_models/encoders/stablerep/seed_0/encoder.safetensors", _EVALUATION),
    _unreadable("conf/base/catalog.yml", _CURATION),
    _unreadable("conf/params/training/default.yaml", _CURATION),
    Case("data/ that is a file", _CURATION, "data", as_file("data")),
    Case("a lock that is a folder", _CURATION, ".run.lock", as_folder("data/.run.lock")),
    Case("a lock that another run holds", _CURATION, "another run", meanwhile=_another_run),
    Case("a room's folder that is a file", _CURATION, "03_primary", as_file("data/03_primary")),
    Case(
        "a folder of checkpoints that is a file", _ARM, "training", as_file("data/02_intermediate/training")
    ),
    Case("a cache that is a file", _EVALUATION, "features", as_file("data/02_intermediate/features")),
    Case("a report that is a folder", _REPORT, "report.html", as_folder("data/08_reporting/report.html")),
]
