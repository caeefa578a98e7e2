"""MLflow's store and server, and folders and disks that cannot be written."""

import sqlite3
from pathlib import Path

from tests.campaign.damage import as_file, as_folder, truncate, write
from tests.campaign.outcome import Case, kedro_run

_CURATION = kedro_run("--pipelines", "curation")
_STORE = "mlflow/mlflow.db"


def _uri(name: str, uri: str, says: str) -> Case:
    return Case(name, _CURATION, says, environment={"MLFLOW_TRACKING_URI": uri})


def _of_another_schema(project: Path) -> None:
    (project / _STORE).unlink()
    with sqlite3.connect(project / _STORE) as store:
        store.execute("create table runs (other integer)")
        store.execute("create table alembic_version (version_num text)")
        store.execute("insert into alembic_version values ('nosuch')")


CASES = [
    Case("a store of garbage", _CURATION, "mlflow.db", write(_STORE, b"garbage" * 1000)),
    Case("half a store", _CURATION, "mlflow.db", truncate(_STORE)),
    Case("a store that is a folder", _CURATION, "mlflow.db", as_folder(_STORE)),
    Case("a store of another schema", _CURATION, "mlflow.db", _of_another_schema),
    Case("mlflow/ that is a file", _CURATION, "mlflow", as_file("mlflow")),
    _uri("an empty address", "", "MLFLOW_TRACKING_URI"),
    _uri("an address of nonsense", "nonsense://x", "nonsense://x"),
    _uri("an address of a folder of files", "file:///tmp/runs", "file:///tmp/runs"),
    _uri("an address that is no address", "::::", "::::"),
    _uri("a dead port", "http://127.0.0.1:9", "127.0.0.1:9"),
    Case("an unknown run", _CURATION, "nosuchrun", environment={"MLFLOW_RUN_ID": "nosuchrun"}),
    Case("data/ that is a file", _CURATION, "data", as_file("data")),
    Case("a lock that is a folder", _CURATION, ".run.lock", as_folder("data/.run.lock")),
    Case("a room's folder that is a file", _CURATION, "03_primary", as_file("data/03_primary")),
]
