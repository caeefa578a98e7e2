"""`stablerep compare`: one page that compares several runs, from the record that each of them keeps."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli import in_one_message
from pipelines.commands import attribution
from pipelines.reporting.record import HOW_TO_MAKE, open_record
from stablerep.errors import ConfigError, DataError
from stablerep.storage.whole_files import written_whole

if TYPE_CHECKING:
    from stablerep.reporting.record import RunRecord

_PARENT = "mlflow.parentRunId"
_ID_CHARS = 8  # an id may be shortened to this many characters
# where the record is in a folder that a user names: a record, a run's outputs, a checkout
_BELOW = (".", "record", "08_reporting/record", "data/08_reporting/record")


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN [RUN]...")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page to write.  [default: data/08_reporting/comparison.html]",
)
def compare(runs: tuple[str, ...], output: Path | None) -> None:
    """Write one page that compares RUNs with the first of them.

    A RUN is the id or the name of a run in MLflow, or a folder: a checkout, its data folder, or a record. The
    page has the figures with paired intervals, images of the same captions, and the differences of the
    configurations.
    """
    with in_one_message():
        from stablerep.reporting.comparison import build_comparison

        records: dict[str, RunRecord] = {}
        for run in runs:
            label, record = _find(run)
            if label in records:
                raise ConfigError(
                    f"run {run!r}: is given twice, as {label}; each run must be given once. Remove one."
                )
            records[label] = record
        page = build_comparison(records)
        path = output or attribution.catalog_path("report").with_name("comparison.html")
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path, "Choose another place with --output.") as beside:
            beside.write_text(page, encoding="utf-8")
        click.echo(f"{path}: {', '.join(records)}")


def _find(run: str) -> "tuple[str, RunRecord]":
    """Returns a run's label for the page and its record.

    Raises:
        DataError: there is no such run, several have the name, or it keeps no record.
    """
    from stablerep.reporting.record import is_record

    folder = Path(run)
    if folder.is_dir():
        for below in _BELOW:
            if is_record(folder / below):
                label = folder.resolve().name if run in (".", "..") else run
                return label, open_record(folder / below, f"run {run}")
        raise DataError(f"{folder}: has no record of a run, neither here nor in {_BELOW[-1]}. {HOW_TO_MAKE}")
    with _mlflow() as client:
        found = _find_tracked(client, run)
        label = f"{found.info.run_name} ({found.info.run_id[:_ID_CHARS]})"
        with tempfile.TemporaryDirectory() as place:
            return label, _download(client, found.info.run_id, label, Path(place))


@contextmanager
def _mlflow() -> Iterator[Any]:
    """Yields a client of the project's MLflow store; a fault of the store becomes one message."""
    from pipelines.tracking.sqlite_file import file_of
    from pipelines.tracking.store import check_store, store_faults, store_uri

    uri = store_uri(attribution.PROJECT)
    check_store(attribution.PROJECT)
    file = file_of(uri)
    if file is not None and not file.is_file():
        raise DataError(f"{file}: no run is tracked yet. Name a folder as RUN, or make a run: kedro run")
    import mlflow

    with store_faults(attribution.PROJECT):
        mlflow.set_tracking_uri(uri)
        yield mlflow.MlflowClient()


def _find_tracked(client: Any, run: str) -> Any:
    """Returns the tracked run with a name or an id; the first characters of an id suffice."""
    from pipelines.tracking.store import EXPERIMENT
    from stablerep.nearest_name import must_be_one_of

    experiment = client.get_experiment_by_name(EXPERIMENT)
    every = [] if experiment is None else _all_runs(client, experiment.experiment_id)
    whole = [each for each in every if _PARENT not in each.data.tags]
    found = [each for each in every if len(run) >= _ID_CHARS and each.info.run_id.startswith(run)]
    found = found or [each for each in whole if each.info.run_name == run]
    if not found:
        names = sorted({str(each.info.run_name) for each in whole})
        known = must_be_one_of(run, names) if names else "no run is tracked yet. Make one: kedro run"
        raise DataError(f"run {run!r}: is neither a folder nor a run in MLflow; {known}")
    if len(found) > 1:
        listed = "".join(f"\n  {each.info.run_id}  {_started(each)}  {each.info.status}" for each in found)
        raise DataError(f"run {run!r}: {len(found)} runs have this name; give the id of one:{listed}")
    parent = found[0].data.tags.get(_PARENT)
    if parent is not None:
        raise DataError(
            f"run {run!r}: is an arm or a trial of run {parent}; must be a whole run. Name that one."
        )
    return found[0]


def _all_runs(client: Any, experiment_id: str) -> list[Any]:
    runs: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _started(run: Any) -> str:
    return f"{datetime.fromtimestamp(run.info.start_time / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _download(client: Any, run_id: str, label: str, place: Path) -> "RunRecord":
    from pipelines.tracking.run import RECORD_FOLDER

    if not client.list_artifacts(run_id, RECORD_FOLDER):
        raise DataError(f"run {label}: has no record to compare. {HOW_TO_MAKE}")
    return open_record(Path(client.download_artifacts(run_id, RECORD_FOLDER, str(place))), f"run {label}")
