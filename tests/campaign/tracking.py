"""MLflow's store and server."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.campaign.damage import as_file, as_folder, forbidden, truncate, write
from tests.campaign.outcome import OBEYING_MODES, Case, kedro_run

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


@contextmanager
def _locked(project: Path) -> Iterator[None]:
    with closing(sqlite3.connect(project / _STORE)) as store:
        store.execute("BEGIN EXCLUSIVE")
        yield


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
    Case("a store that another program has locked", _CURATION, "mlflow.db", meanwhile=_locked),
    Case(
        "a store that may not be written",
        (*OBEYING_MODES, *_CURATION),
        "mlflow.db",
        meanwhile=forbidden(_STORE),
    ),
]
