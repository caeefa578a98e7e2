"""The store of runs: each fault is one message, before anything is computed, and changes no store."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import pytest

from pipelines.run import preflight
from pipelines.tracking import sqlite_file, store
from pipelines.tracking.store import check_store, point_to_store, store_faults
from stablerep.errors import ConfigError, DataError, StableRepError
from tests.pipelines.unprivileged import folder_of_nobody


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as this project makes it: making it takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    sqlite_file.make_store(path)
    return path


@pytest.fixture(autouse=True)
def no_address() -> Iterator[None]:
    """MLflow sets the variable, also in tests before this one."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture
def project(tmp_path: Path, empty_store: Path) -> Path:
    """A project's folder with a store of its own."""
    (tmp_path / "mlflow").mkdir()
    shutil.copy(empty_store, tmp_path / "mlflow" / "mlflow.db")
    return tmp_path


def file_in(project: Path) -> Path:
    return project / "mlflow" / "mlflow.db"


# ----------------------------------------------------------------------------------------- files


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 100)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50_000])


def of_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
        database.commit()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (garbage, "file is not a database"),
        (truncated, "malformed"),
        (of_another_program, r"without the tables of MLflow \(songs\)"),
    ],
)
def test_a_damaged_store_is_named_and_left_as_it_is(
    project: Path, damage: Callable[[Path], None], told: str
) -> None:
    path = file_in(project)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(DataError, match=told) as raised:
        check_store(project)
    assert str(path) in str(raised.value)
    assert "Restore it from a copy, or move it away" in str(raised.value)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["mlflow.db"]


def test_a_store_that_is_a_folder_is_named(project: Path) -> None:
    file_in(project).unlink()
    file_in(project).mkdir()
    with pytest.raises(DataError, match=r"mlflow\.db: a folder; must be a file, because MLflow's store"):
        check_store(project)


def test_a_file_in_the_place_of_the_stores_folder_is_named(project: Path) -> None:
    shutil.rmtree(project / "mlflow")
    (project / "mlflow").write_text("x")
    with pytest.raises(
        DataError, match=f"{project / 'mlflow'}: not a folder; must be one, because MLflow's store"
    ):
        check_store(project)
    assert (project / "mlflow").read_text() == "x"


def test_a_locked_store_says_what_locks_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "_LOCK_TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(file_in(project))) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DataError, match="Another program has locked it"):
            check_store(project)
    check_store(project)


def test_a_store_that_cannot_be_written_says_so(empty_store: Path) -> None:
    data = empty_store.read_bytes()
    with folder_of_nobody() as folder:
        (folder / "mlflow").mkdir()
        file_in(folder).write_bytes(data)
        check_store(folder)
        file_in(folder).chmod(0o444)
        with pytest.raises(DataError, match=r"readonly.*Make the file and its folder writable"):
            check_store(folder)


def test_a_check_changes_no_byte_and_needs_no_store(project: Path) -> None:
    path = file_in(project)
    before = path.read_bytes(), path.stat().st_mtime_ns
    check_store(project)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    path.unlink()
    check_store(project)
    assert not path.exists()


def test_a_check_of_the_own_store_does_not_import_mlflow(project: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipelines.tracking.store import check_store\n"
        "check_store(Path(sys.argv[1])); sys.exit('mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(project)], cwd=store_root(), check=False)
    assert done.returncode == 0


def store_root() -> Path:
    return Path(__file__).parents[3]


def test_a_store_without_a_version_is_one_message(project: Path) -> None:
    with closing(sqlite3.connect(file_in(project))) as database:
        database.execute("ALTER TABLE alembic_version RENAME COLUMN version_num TO number")
        database.commit()
    with pytest.raises(DataError, match="no such column: version_num"), store_faults(project):
        point_to_store(project)


def test_a_path_that_is_too_long_is_one_message(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/{'x' * 300}.db")
    with pytest.raises(ConfigError, match="File name too long"):
        check_store(project)


@pytest.mark.parametrize("version", ["0123456789ab", None])
def test_a_store_of_another_version_of_mlflow_is_not_changed(project: Path, version: str | None) -> None:
    path = file_in(project)
    with closing(sqlite3.connect(path)) as database:
        # an older one lacks tables, which MLflow would add without a word
        if version is None:
            database.execute("UPDATE alembic_version SET version_num = '90e64c465722'")
            database.execute("DROP TABLE webhooks")
        else:
            database.execute("UPDATE alembic_version SET version_num = ?", (version,))
        database.commit()
    before = path.read_bytes()
    check_store(project)
    with pytest.raises(DataError, match=r"tables of another version of MLflow.*mlflow db upgrade sqlite:///"):
        point_to_store(project)
    assert path.read_bytes() == before


def test_a_store_is_made_whole_or_not_at_all(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_in(project)
    path.unlink()
    # what a kill leaves: MLflow cannot go on with these tables
    with closing(sqlite3.connect(path.with_name("mlflow.db.partial"))) as database:
        database.execute("CREATE TABLE experiments (experiment_id INTEGER)")
        database.commit()
    point_to_store(project)
    assert [each.name for each in path.parent.iterdir()] == ["mlflow.db"]
    found = mlflow.get_experiment_by_name(store.EXPERIMENT)
    assert found is not None
    assert found.artifact_location == (project / "mlflow" / "artifacts").as_uri()


def test_a_deleted_experiment_says_how_to_restore_it(project: Path) -> None:
    point_to_store(project)
    found = mlflow.get_experiment_by_name(store.EXPERIMENT)
    assert found is not None
    mlflow.delete_experiment(found.experiment_id)
    with pytest.raises(
        ConfigError, match=f"mlflow experiments restore --experiment-id {found.experiment_id}"
    ):
        point_to_store(project)


# ----------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "uri",
    [
        "",
        " ",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "file:///tmp/runs",
        "ftp://server",
        "http://",
        "http://server:port",
        "http://[::1",
    ],
)
def test_an_address_of_no_store_says_what_is_allowed(
    project: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match=r"MLFLOW_TRACKING_URI: got .*; must be http:// or https://"):
        check_store(project)


def test_a_folder_of_runs_says_how_to_move_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.as_uri())
    with pytest.raises(ConfigError, match="mlflow migrate-filestore"):
        check_store(project)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check_store(project)


@pytest.mark.parametrize(
    ("driver", "told"),
    [("psycopg2", "needs the Python package psycopg2"), ("nosuchdriver", "postgresql.nosuchdriver")],
)
def test_a_database_without_its_driver_names_the_package(
    project: Path, monkeypatch: pytest.MonkeyPatch, driver: str, told: str
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        uri = f"postgresql+{driver}://ada:secret@127.0.0.1:{listening.getsockname()[1]}/runs"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(StableRepError) as raised:
            check_store(project)
    assert told in str(raised.value)
    assert "secret" not in str(raised.value)


# ----------------------------------------------------------------------------------------- servers


def dead_port() -> int:
    """Returns a port of this machine on which no one listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def server(status: int, body: bytes, wait: threading.Event | None = None) -> Iterator[tuple[str, list[str]]]:
    """Runs a server that answers everything alike; yields its address, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if wait is not None:
                wait.wait()
            self.send_response(status)
            self.send_header("Retry-After", "3600")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}", asked
    finally:
        if wait is not None:
            wait.set()
        running.shutdown()
        running.server_close()


@pytest.mark.parametrize("scheme", ["http", "postgresql", "mysql+pymysql"])
def test_a_dead_port_is_one_message_without_a_retry(
    project: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    uri = f"{scheme}://ada:secret@127.0.0.1:{dead_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match=r"Connection refused.*Without MLFLOW_TRACKING_URI") as raised:
        check_store(project)
    assert uri.replace("ada:secret@", "") in str(raised.value)
    assert "secret" not in str(raised.value)
    assert not {"MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"} & set(os.environ)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, b"{}"), (200, b"[]"), (200, b'{"experiment": 3}'), (404, b"none")],
)
def test_a_server_of_another_kind_is_told_from_mlflow(
    project: Path, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes
) -> None:
    with server(status, body) as (uri, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(ConfigError, match=f"{uri} answers, but not as an MLflow server"):
            check_store(project)
    assert len(asked) == 1


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_server_that_refuses_is_asked_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with server(status, b"no") as (uri, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(ConfigError, match=f"{uri}: cannot be used as the store of runs.*{status}"):
            check_store(project)
    assert len(asked) == 1, "an hour is what it says to wait for"


def test_a_server_that_never_answers_is_given_up(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert float(store._FIRST_CONTACT["MLFLOW_HTTP_REQUEST_TIMEOUT"]) <= 5, "known within 10 s"
    monkeypatch.setitem(store._FIRST_CONTACT, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with server(200, b"{}", wait=threading.Event()) as (uri, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(ConfigError, match=r"cannot be used as the store of runs.*timed out"):
            check_store(project)
    assert len(asked) == 1


def test_retries_that_the_user_sets_are_kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false")
    with server(500, b"no") as (uri, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(ConfigError):
            check_store(project)
    assert len(asked) == 2
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"


def test_a_server_without_our_experiment_is_one_of_mlflow(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}'
    with server(404, body) as (uri, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        check_store(project)
    [path] = asked
    assert path.endswith(f"/experiments/get-by-name?experiment_name={store.EXPERIMENT}")
    with server(404, body.replace(b"RESOURCE_DOES_NOT_EXIST", b"NO_SUCH_PAGE")) as (uri, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(ConfigError, match="answers, but not as an MLflow server"):
            check_store(project)


# ----------------------------------------------------------------------------------------- a run


def test_a_store_that_cannot_be_used_is_met_before_the_corpus(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    garbage(file_in(project))
    monkeypatch.setattr(preflight, "check_before_run", lambda *_: pytest.fail("must not be reached"))
    hooks = preflight.PreflightHooks()
    hooks._project = project
    with pytest.raises(DataError, match="file is not a database"):
        hooks.before_pipeline_run(pipeline=None, catalog=None)


def test_a_dead_server_ends_the_command_before_anything_is_written(
    bare_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{dead_port()}")
    kedro = Path(sys.executable).with_name("kedro")
    command = [kedro, "run", "--namespaces", "evaluation_sets.scenes", "--params", "experiment=smoke"]
    done = subprocess.run(command, cwd=bare_project, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be used as the store of runs (Connection refused)" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert [path.name for path in (bare_project / "data").iterdir()] == [".run.lock"]
    assert not (bare_project / "mlflow").exists()


def test_a_fault_of_ours_in_a_call_keeps_its_traceback(project: Path) -> None:
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

    ours = mlflow.MlflowException("too long", error_code=INVALID_PARAMETER_VALUE)
    for fault in (ours, ZeroDivisionError()):
        with pytest.raises(type(fault)), store_faults(project):
            raise fault
    with pytest.raises(DataError, match="away"), store_faults(project):
        raise mlflow.MlflowException("away")
