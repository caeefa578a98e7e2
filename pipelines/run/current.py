"""The run of this process: its configuration, and who follows its arms.

Kedro registers pipelines, and calls nodes, without saying for which run. There is one run per process, so one
object holds what both must know.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from pipelines.config.corpus import CORPORA
from pipelines.run.items import arm_and_seed, encoder_names, is_encoder
from stablerep.training.stop import StopSignal

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node

Follower = Callable[[str, int, Mapping[str, float]], None]
_WORK = "training_work"
_PARAMS_FOLDER = Path(__file__).parents[2] / "conf" / "params"


class CurrentRun:
    """What is known of the run.

    Attributes:
        parameters: as composed; None before there is a run.
        catalog: of the run; None before there is one.
        options: of the command, as Kedro names them; none where a run is started by other code.
        stop: a signal that comes while an arm is trained; the arms after it do not start.
        followers: called with an arm's name, its seed and each row of its history as it is made. Kedro's
            hooks see what a node returns when the node is done, which for an arm may be days later.
    """

    def __init__(self) -> None:
        self.stop = StopSignal()
        self.parameters: dict[str, Any] | None = None
        self.catalog: DataCatalog | None = None
        self.options: Mapping[str, Any] = {}
        self.followers: list[Follower] = []

    def parameters_to_register(self) -> dict[str, Any]:
        """Returns the run's parameters; the default ones where there is no run, as in `kedro registry`."""
        if self.parameters is None:
            from pipelines.config.loader import compose

            self.parameters = compose(_PARAMS_FOLDER, {})
        return self.parameters

    def follow(self, follower: Follower) -> None:
        """Adds a follower; it must not raise, or it ends the training."""
        self.followers.append(follower)

    def leave(self, follower: Follower) -> None:
        """Removes a follower."""
        self.followers.remove(follower)

    def tell(self, arm: str, seed: int, row: Mapping[str, float]) -> None:
        """Passes a row to the followers; nodes in processes of their own (ParallelRunner) have none."""
        for follower in self.followers:
            follower(arm, seed, row)


CURRENT = CurrentRun()


class ItemsHooks:
    """Registers the pipelines of the run's own items; removes checkpoints when the run has ended."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: "KedroContext") -> None:
        """Registers again where the run has other items than those that are registered."""
        from kedro.framework.project import PACKAGE_NAME, pipelines

        CURRENT.stop = StopSignal()
        CORPORA.forget()  # of a run that was interrupted, before the parameters are composed
        parameters = context.config_loader["parameters"]
        if parameters != CURRENT.parameters:
            CURRENT.parameters = parameters
            pipelines.configure(f"{PACKAGE_NAME}.pipeline_registry")

    @hook_impl
    def on_node_error(self, error: Exception, node: "Node") -> None:
        """Adds the node's name to the message, which is the only one: Kedro's own log of it is off."""
        error.add_note(f"In node {node.name}.")

    @hook_impl
    def after_catalog_created(self, catalog: "DataCatalog") -> None:
        """Keeps the catalog for messages.

        In a launcher's further processes encoders are not kept: the first process keeps them.
        """
        from kedro.io import MemoryDataset

        from pipelines.run.launcher import is_follower

        CURRENT.catalog = catalog
        if is_follower():
            for name in encoder_names(CURRENT.parameters_to_register()):
                catalog[name] = MemoryDataset()

    @hook_impl
    def after_pipeline_run(self, pipeline: "Pipeline", catalog: "DataCatalog") -> None:
        """Removes the checkpoints of the arms that were trained.

        Not earlier: a run that is stopped in its fifth arm finds the first four finished when it goes on.
        """
        from pipelines.run.launcher import is_follower

        if is_follower():
            return
        for dataset in pipeline.all_outputs():
            if is_encoder(dataset):
                arm, seed = arm_and_seed(dataset)
                shutil.rmtree(Path(catalog.load(_WORK), f"seed_{seed}", arm), ignore_errors=True)
