"""Our own tracking: seconds of every node, and MLflow runs.

Kedro calls these methods; what each dataset becomes in MLflow stands in `pipelines/tracking/run.py`, which is
imported when a run starts and not before: MLflow takes seconds to import.
"""

import time
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from pipelines.run.current import CURRENT
from pipelines.tracking.store import store_faults

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node

    from pipelines.tracking.run import Tracker

_SECONDS = "stage_seconds"


class TrackingHooks:
    """One parent run for each `kedro run`, with a nested run for each arm and each trial."""

    def __init__(self) -> None:
        """Holds nothing until a run starts."""
        self._parameters: dict[str, Any] = {}
        self._project: Any = None
        self._started: dict[str, float] = {}
        self._catalog: DataCatalog | None = None
        self._tracker: Tracker | None = None

    @hook_impl
    def after_context_created(self, context: "KedroContext") -> None:
        """Composes the parameters, so that a fault in them is reported before anything starts."""
        self._parameters = context.config_loader["parameters"]
        self._project = context.project_path

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: "Pipeline", catalog: "DataCatalog"
    ) -> None:
        """Starts the parent run; a launcher's further processes leave it to the first."""
        from pipelines.run.launcher import is_follower

        if is_follower():
            return
        from pipelines.tracking.run import Tracker

        self._catalog = catalog
        names = run_params.get("pipeline_names") or ["__default__"]
        with store_faults(self._project):
            self._tracker = Tracker(self._project, catalog, self._parameters, "+".join(names))
        CURRENT.follow(self._tracker.log_row)

    @hook_impl
    def before_node_run(self, node: "Node") -> None:
        """Starts the node's clock."""
        self._started[node.name] = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: "Node") -> None:
        """Adds the node's seconds to those of earlier runs."""
        seconds = time.perf_counter() - self._started.pop(node.name)
        if self._catalog is not None and _SECONDS in self._catalog:
            self._catalog.save(_SECONDS, {node.name: round(seconds, 3)})
        if self._tracker is not None:
            with store_faults(self._project):
                self._tracker.log_seconds(node.name, seconds)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Logs the datasets that MLflow shows."""
        if self._tracker is not None:
            with store_faults(self._project):
                self._tracker.log_dataset(dataset_name, data)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Ends the parent run."""
        if (tracker := self._let_go()) is not None:
            with store_faults(self._project):
                tracker.finish()

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Ends the parent run as failed, with the message."""
        if (tracker := self._let_go()) is not None:
            tracker.fail(error)

    def _let_go(self) -> "Tracker | None":
        """Returns the tracker, which is sent nothing more."""
        tracker, self._tracker = self._tracker, None
        if tracker is not None:
            CURRENT.leave(tracker.log_row)
        return tracker
