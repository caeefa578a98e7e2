"""The store of runs: where it is, whether it can be used, and messages for its errors.

The store is mlflow/mlflow.db unless MLFLOW_TRACKING_URI names another; its URI is absolute, because MLflow
resolves a relative one against the current folder.
"""

import os
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from pipelines.run.causes import causes
from pipelines.tracking.sqlite_file import check_file, file_of, make_store, schema_of
from stablerep.errors import ConfigError, DataError, StableRepError

if TYPE_CHECKING:
    from mlflow.entities import Experiment

EXPERIMENT = "stablerep"
_URI = "MLFLOW_TRACKING_URI"
_HTTP = {"http": 80, "https": 443}  # with the ports where a URI names none
_DATABASES = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_ALLOWED = (
    "must be http:// or https:// with the host of an MLflow server, sqlite:/// with a path, or a database "
    f"(postgresql, mysql, mssql). Correct it, or unset {_URI}: runs are then written to mlflow/mlflow.db."
)
# of the first contact, unless the user has set them: MLflow's own would try for minutes
_FIRST_CONTACT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "4"}
_CONNECT_TIMEOUT_S = 4.0
_MAX_REASON_CHARS = 300
# what MLflow makes of a page that is not there, or of one that is no JSON
_OF_OTHER_SERVERS = ("ENDPOINT_NOT_FOUND", "INTERNAL_ERROR")


def store_uri(project: Path) -> str:
    """Returns the store's URI, absolute unless the environment names another."""
    return os.environ.get(_URI, _own_uri(project))


def check_store(project: Path) -> None:
    """Checks that the store can be used, within 10 s.

    A local file is looked at without MLflow, which takes seconds to import; a server is asked through it.

    Raises:
        ConfigError: MLFLOW_TRACKING_URI names no store, or nothing that answers as an MLflow server.
        DataError: the file is damaged, locked, read-only, or of another program.
    """
    uri = store_uri(project)
    split = _split(uri)
    file = file_of(uri)
    with store_faults(project):
        if file is not None:
            check_file(file)
        else:
            _contact(uri, split)


def point_to_store(project: Path) -> None:
    """Chooses the store and the experiment.

    Raises:
        ConfigError: the experiment is deleted.
        DataError: the store is of another version of MLflow.
    """
    import mlflow

    uri = store_uri(project)
    if (file := file_of(uri)) is not None:
        _check_schema(file)
        if uri == _own_uri(project) and not file.exists():
            make_store(file)
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    if experiment is None and uri == _own_uri(project):
        mlflow.create_experiment(
            EXPERIMENT, artifact_location=(project.absolute() / "mlflow/artifacts").as_uri()
        )
    if experiment is not None and experiment.lifecycle_stage != "active":
        number = experiment.experiment_id
        raise ConfigError(
            f"{_shown(uri)}: experiment {EXPERIMENT!r} is deleted; must be active. Restore it with "
            f"`mlflow experiments restore --experiment-id {number}`, or remove it for good with "
            f"`mlflow gc --experiment-ids {number}`; both take the store's address."
        )
    mlflow.set_experiment(EXPERIMENT)


@contextmanager
def store_faults(project: Path) -> Iterator[None]:
    """Raises StableRepError, with the store's address, for what the store refuses in the block.

    What MLflow calls an invalid parameter is a fault of this project, and passes through.
    """
    try:
        yield
    except StableRepError:
        raise
    except Exception as error:
        if not _is_the_stores(error):
            raise
        uri = store_uri(project)
        advice = (
            "Free some space or fix its permissions" if file_of(uri) else "Start it or correct its address"
        )
        advice += ", and run again."
        kind: type[StableRepError] = DataError
        if uri != _own_uri(project):  # MLflow sets the variable itself, so that it is there says nothing
            kind, advice = ConfigError, f"{advice} Without {_URI} runs are written to mlflow/mlflow.db."
        raise kind(
            f"{_shown(uri)}: cannot be used as the store of runs ({_reason(error)}). {advice}"
        ) from error


def _own_uri(project: Path) -> str:
    return f"sqlite:///{project.absolute() / 'mlflow' / 'mlflow.db'}"


def _split(uri: str) -> SplitResult:
    """Returns the parts of a URI, the scheme without a driver such as `+psycopg2`.

    Raises:
        ConfigError: it is no address of a store.
    """
    try:
        split = urlsplit(uri)
        host = split.hostname
        _ = split.port  # raises where it is no number
    except ValueError as error:
        raise ConfigError(f"{_URI}: got {_shown(uri)!r} ({error}); {_ALLOWED}") from error
    scheme = "databricks" if uri == "databricks" else split.scheme.partition("+")[0]
    if scheme in ("", "file") and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
        return split
    known = scheme in {"sqlite", "databricks", *_HTTP, *_DATABASES} or _has_plugin(scheme)
    in_memory = scheme == "sqlite" and file_of(uri) is None  # of one process, and training has several
    if not known or in_memory or (scheme in _HTTP and not host):
        folder = scheme == "file" or Path(uri or "/dev/null").is_dir()
        hint = " `mlflow migrate-filestore` copies the runs of a folder to a database." if folder else ""
        raise ConfigError(f"{_URI}: got {_shown(uri)!r}; {_ALLOWED}{hint}")
    return split._replace(scheme=scheme)


def _has_plugin(scheme: str) -> bool:
    return scheme in {plugin.name for plugin in entry_points(group="mlflow.tracking_store")}


def _contact(uri: str, split: SplitResult) -> None:
    port = split.port or (_HTTP | _DATABASES).get(split.scheme)
    if split.hostname and port and not (split.scheme in _HTTP and getproxies()):
        # known without MLflow, which tries a database for minutes; some drivers wait forever
        socket.create_connection((split.hostname, port), _CONNECT_TIMEOUT_S).close()
    import mlflow
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(uri)
    try:
        with _environment(_FIRST_CONTACT):
            experiment: Experiment | None = mlflow.get_experiment_by_name(EXPERIMENT)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{_URI}: {_shown(uri)} needs the Python package {error.name}, which is not installed. "
            "Install it, or name another driver after a +, as in postgresql+psycopg://."
        ) from error
    except ParseError as error:
        raise _not_mlflow(uri, str(error)) from error
    except MlflowException as error:
        if split.scheme in _HTTP and error.error_code in _OF_OTHER_SERVERS and not _root(error):
            raise _not_mlflow(uri, str(error)) from error
        raise
    # JSON of another server is read as an experiment without a name
    if experiment is not None and experiment.name != EXPERIMENT:
        raise _not_mlflow(uri, f"experiment {EXPERIMENT!r} has the name {experiment.name!r}")


def _not_mlflow(uri: str, reason: str) -> ConfigError:
    return ConfigError(
        f"{_URI}: {_shown(uri)} answers, but not as an MLflow server ({_in_a_line(reason)}). It {_ALLOWED}"
    )


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets variables that are not set, and unsets them after the block."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _check_schema(file: Path) -> None:
    """Raises DataError for tables of another version, which MLflow would change or cannot read."""
    import mlflow
    from mlflow.store.db.utils import _get_latest_schema_revision

    found, expected = schema_of(file), _get_latest_schema_revision()
    if found not in (None, expected):
        raise DataError(
            f"{file}: tables of another version of MLflow (schema {found}); MLflow {mlflow.__version__} "
            f"needs schema {expected}. Copy the file, then run `mlflow db upgrade sqlite:///{file}`; if that "
            "refuses, install the version that wrote it, or move it away: the next run makes a new one."
        )


def _is_the_stores(error: Exception) -> bool:
    if isinstance(error, OSError | sqlite3.Error):  # those of requests are OSErrors
        return True
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, MlflowException):
        return error.error_code != "INVALID_PARAMETER_VALUE"
    return isinstance(error, SQLAlchemyError)


def _root(error: Exception) -> OSError | sqlite3.Error | None:
    """Returns what the system or SQLite said first; MLflow's messages repeat addresses and name classes."""
    links = [link for link in causes(error) if isinstance(link, OSError | sqlite3.Error)]
    return next((link for link in reversed(links) if not isinstance(link, ValueError)), None)


def _reason(error: Exception) -> str:
    root = _root(error)
    if isinstance(root, OSError) and root.strerror:
        return f"{root.filename}: {root.strerror}" if root.filename else root.strerror
    return _in_a_line(str(root or error))


def _in_a_line(text: str) -> str:
    line = _without_passwords(" ".join(text.split()))
    return line if len(line) <= _MAX_REASON_CHARS else f"{line[:_MAX_REASON_CHARS]}..."


def _without_passwords(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)


def _shown(uri: str) -> str:
    """Returns an address without its password; of a local file the path."""
    file = file_of(uri)
    return str(file) if file is not None else _without_passwords(uri)
