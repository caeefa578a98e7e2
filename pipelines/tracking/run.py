"""What MLflow records of a run: parameters, metrics by step, models, pictures, pages."""

import logging
import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.exceptions import MlflowException

from pipelines.config.loader import write_parameters
from pipelines.run.causes import first_cause
from pipelines.run.items import image_set_of, is_encoder
from pipelines.tracking.arms import TrackedArms
from pipelines.tracking.image_sets import log_image_set, log_set_metrics
from pipelines.tracking.over_seeds import figures_over_seeds
from pipelines.tracking.store import EXPERIMENT, point_to_store
from pipelines.tracking.values import in_calls, log_params, metrics_of
from stablerep.errors import ConfigError, GateError, StoppedError
from stablerep.reporting.parameters import flatten

# it logs a traceback of each fault that it raises
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
# for each arm it warns that the environment has no pip (uv's has none)
logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)

if TYPE_CHECKING:
    import pandas as pd
    from kedro.io import DataCatalog

    from stablerep.reporting.record import RunRecord

logger = logging.getLogger(__name__)

RECORD_FOLDER = "record"  # among a run's artifacts
_MAX_TAG_CHARS = 5000  # below MLflow's limit of 8,000


def end_killed_runs(place: str) -> None:
    """Marks what earlier runs of a place left open: as a run holds its data folder alone, they are dead."""
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return
    for run in client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
        if run.data.tags.get("place") == place:
            client.set_terminated(run.info.run_id, "KILLED")


def end_open_runs(status: str) -> None:
    """Ends what an interrupt left open; a run that nobody ends is shown as running for ever."""
    while mlflow.active_run():
        mlflow.end_run(status)


def _end_broken_runs(status: str) -> None:
    """Ends the open runs where the store may be what has failed; the next run marks what stays open."""
    try:
        end_open_runs(status)
    except (MlflowException, OSError) as error:
        logger.warning("MLflow shows the run as running: its end could not be stored (%s)", error)


def continued_run(client: mlflow.MlflowClient) -> str | None:
    """Returns the id of the run that MLFLOW_RUN_ID names, which MLflow then continues; None without one.

    Raises:
        ConfigError: it is no run of this experiment.
    """
    run_id = os.environ.get("MLFLOW_RUN_ID")
    if not run_id:
        return None
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        run = None
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if (
        run is None
        or run.info.lifecycle_stage != "active"
        or experiment is None
        or run.info.experiment_id != experiment.experiment_id
    ):
        raise ConfigError(
            f"MLFLOW_RUN_ID: got {run_id!r}; must be the id of a run of experiment {EXPERIMENT!r} that is "
            "not deleted; that run is then continued. Correct it, or unset it to start a new run."
        )
    return run_id


def git_state(project: Path) -> dict[str, str]:
    """Returns the commit and whether the tree differs from it; `unknown` outside a repository."""
    state = {}
    for name, command in (("commit", ["rev-parse", "HEAD"]), ("dirty", ["status", "--porcelain"])):
        try:
            done = subprocess.run(  # noqa: S603 -- fixed arguments
                ["git", "-C", str(project), *command],  # noqa: S607
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            state[f"git.{name}"] = str(bool(done.stdout)) if name == "dirty" else done.stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            state[f"git.{name}"] = "unknown"
    return state


class Tracker:
    """The parent run of one `kedro run`.

    Args:
        project: the project's folder.
        catalog: to find what belongs together, such as the images of a manifest.
        parameters: as composed.
        pipeline: its name.
    """

    def __init__(
        self, project: Path, catalog: "DataCatalog", parameters: dict[str, Any], pipeline: str
    ) -> None:
        """Starts the run."""
        self._catalog, self._parameters = catalog, parameters
        point_to_store(project)
        place = f"{socket.gethostname()}:{project.absolute()}"
        end_killed_runs(place)
        self._client = mlflow.MlflowClient()
        continued = continued_run(self._client)
        name = f"{parameters['experiment_name']} {pipeline.strip('_')}"
        self._run = mlflow.start_run(run_name=name)
        try:
            mlflow.set_tags({"pipeline": pipeline, "place": place, **git_state(project)})
            self._log_parameters(continued)
            self._arms = TrackedArms(self._run, parameters, catalog)
        except BaseException:
            _end_broken_runs("FAILED")
            raise

    def _log_parameters(self, continued: str | None) -> None:
        try:
            log_params(self._client, self._run.info.run_id, flatten(self._parameters))
        except MlflowException as error:
            if continued is None or error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            raise ConfigError(
                f"MLFLOW_RUN_ID: run {continued} has other parameters; must be a run with the same "
                "parameters as this one. "
                f"Give it the same --params, or unset MLFLOW_RUN_ID. MLflow says: {error.message}"
            ) from error
        with tempfile.TemporaryDirectory() as folder:
            write_parameters(Path(folder, "params.yaml"), self._parameters)
            mlflow.log_artifact(str(Path(folder, "params.yaml")))

    def log_dataset(self, name: str, data: Any) -> None:
        """Logs a dataset that was just saved, if MLflow is to show it."""
        loggers: dict[str, Callable[[Any], Any]] = {
            "curation_ledger": self._log_curation,
            "curation_page": lambda page: mlflow.log_text(page, "curation.html"),
            "caption_audit": self._log_audit,
            "metrics": self._log_scores,
            "unit_scores": self._log_scores_over_seeds,
            "image_set_metrics": log_set_metrics,
            "guidance_trials": self._log_trials,
            "guidance_recommendation": lambda found: mlflow.log_dict(found, "guidance_recommendation.json"),
            "guidance_curve": lambda figure: mlflow.log_figure(figure, "guidance_curve.png"),
            "report": lambda page: mlflow.log_text(page, "report.html"),
            "run_record": log_record,
        }
        if is_encoder(name):
            self._arms.log(data)
        elif name.startswith(image_set_of("")):
            log_image_set(data)
        elif name in loggers:
            loggers[name](data)

    def log_row(self, arm: str, seed: int, row: Mapping[str, float]) -> None:
        """Logs a row of an arm's history while the arm is trained."""
        self._arms.follow(arm, seed, row)

    def log_seconds(self, node: str, seconds: float) -> None:
        """Logs how long a node took."""
        mlflow.log_metric(f"seconds.{node}", seconds)

    def finish(self) -> None:
        """Ends the run well."""
        self._arms.end("FINISHED")
        mlflow.end_run("FINISHED")

    def fail(self, error: Exception) -> None:
        """Ends the run as failed; a gate's error brings its page along, and no other's of an earlier run.

        One that a signal stopped has not failed: it is killed.
        """
        refusal, stopped = first_cause(error, GateError), first_cause(error, StoppedError)
        status = "KILLED" if stopped else "FAILED"
        told = refusal or stopped or error
        try:
            mlflow.set_tag("error", f"{type(told).__name__}: {told}"[:_MAX_TAG_CHARS])
            if refusal is not None and refusal.page is not None:
                mlflow.log_artifact(str(refusal.page), _place_of_page(refusal.page))
            self._arms.end(status)
        except (MlflowException, OSError) as fault:
            # what ended the run is what the user must read; it may be this store
            logger.warning("MLflow could not store why the run ended: %s", fault)
        _end_broken_runs(status)

    def _log_curation(self, ledger: Mapping[str, Any]) -> None:
        numbers = {f"curation.{name}": value for name, value in ledger.items() if isinstance(value, int)}
        for step in ledger["filters"]:
            for reason, count in step["reasons"].items():
                numbers[f"curation.{step['filter']}.{reason}"] = count
        mlflow.log_metrics({name: float(value) for name, value in numbers.items()})

    def _log_audit(self, audit: "pd.DataFrame") -> None:
        names = audit["verdict"].str.cat(audit["when"], sep=".")
        counts = names.value_counts().to_dict()
        mlflow.log_metrics({f"curation.pairs_{name}": float(count) for name, count in counts.items()})

    def _log_scores(self, metrics: "pd.DataFrame") -> None:
        for (arm, seed), rows in metrics.groupby(["arm", "seed"]):
            own = self._arms.run_of(str(arm), int(str(seed)))
            # reference rows, and arms trained in an earlier session, have no run in this one
            prefix = "" if own else f"{arm}.seed_{seed}."
            values: dict[str, float] = {}
            for row in rows.to_dict("records"):
                name = f"{prefix}{row['set']}.{row['task']}.{row['evaluation']}.{row['metric']}"
                values |= {name: row["value"], f"{name}.low": row["low"], f"{name}.high": row["high"]}
            for part in in_calls(metrics_of(values)):
                self._client.log_batch(own or self._run.info.run_id, metrics=part)

    def _log_scores_over_seeds(self, unit_scores: "pd.DataFrame") -> None:
        num_bootstrap = int(self._parameters["reporting"]["num_bootstrap"])
        figures = figures_over_seeds(unit_scores, num_bootstrap, self._parameters["seeds"][0])
        for arm, values in figures.items():
            own = self._arms.run_over_seeds(arm)
            # as with a seed's figures
            named = values if own else {f"{arm}.{name}": value for name, value in values.items()}
            for part in in_calls(metrics_of(named)):
                self._client.log_batch(own or self._run.info.run_id, metrics=part)

    def _log_trials(self, trials: "pd.DataFrame") -> None:
        for number, row in enumerate(trials.to_dict("records")):
            with mlflow.start_run(run_name=f"trial {row.get('trial', number)}", nested=True):
                numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
                mlflow.log_metrics({str(name): float(value) for name, value in numbers.items()})
                rest = {name: value for name, value in row.items() if name not in numbers}
                # a score of each unit is too long for a parameter; its mean is among the numbers
                texts = {str(name): str(value) for name, value in rest.items() if name != "unit_scores"}
                mlflow.log_params(texts)


def log_record(record: "RunRecord") -> None:
    """Logs what `stablerep compare` reads."""
    from stablerep.reporting.record import write_record

    with tempfile.TemporaryDirectory() as folder:
        write_record(Path(folder), record)
        mlflow.log_artifacts(folder, RECORD_FOLDER)


def _place_of_page(page: Path) -> str:
    """Returns a page's folder among the run's artifacts, such as `data_docs/<image set>/images`."""
    parts = page.parent.parts
    return "/".join(parts[parts.index("data_docs") :] if "data_docs" in parts else ["data_docs", parts[-1]])
