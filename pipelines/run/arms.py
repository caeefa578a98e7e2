"""The arms of an experiment as Kedro knows them: names of namespaces and datasets, and what outlives a run.

Kedro registers pipelines before it looks at `--params`, and the arms are a list in the experiment's config.
So the hook here tells the registry the arms of the run's own configuration as soon as that is composed; where
no session was made, as in `kedro registry list`, the registry composes the default one.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

# An arm: its name, its method, its images.
Arm = dict[str, str]
# Kedro keeps dots for what only one namespace knows; encoders are read by other rooms.
_ENCODER = "encoder_of_"
_WORK = "training_work"
_PARAMS_FOLDER = Path(__file__).parents[2] / "conf" / "params"


class _OfTheRun:
    """What the registry is told."""

    arms: list[Arm] | None = None


def namespace_of(name: str) -> str:
    """Returns the namespace of an arm's sub-pipeline, as `kedro run --namespaces` takes it."""
    return f"training.{name}"


def encoder_of(name: str) -> str:
    """Returns the name of the dataset of an arm's encoder."""
    return f"{_ENCODER}{name}"


def is_encoder(dataset: str) -> bool:
    """Tells whether a dataset is an arm's encoder."""
    return dataset.startswith(_ENCODER)


def arms_to_register() -> list[Arm]:
    """Returns the arms of the run's configuration, or of the default one before there is a run."""
    if _OfTheRun.arms is None:
        from pipelines.config.loader import compose

        return compose(_PARAMS_FOLDER, {})["arms"]
    return _OfTheRun.arms


class ArmsHooks:
    """Has the run's own arms registered; removes their checkpoints when the run came to its end."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: "KedroContext") -> None:
        """Tells the registry the arms, and has it register anew where it has registered others."""
        from kedro.framework.project import PACKAGE_NAME, pipelines

        arms = context.config_loader["parameters"]["arms"]
        if arms != _OfTheRun.arms:
            _OfTheRun.arms = arms
            pipelines.configure(f"{PACKAGE_NAME}.pipeline_registry")

    @hook_impl
    def after_catalog_created(self, catalog: "DataCatalog") -> None:
        """Has a launcher's further processes keep no encoder: the first one does."""
        from kedro.io import MemoryDataset

        from pipelines.run.launcher import is_follower

        if is_follower():
            for arm in arms_to_register():
                catalog[encoder_of(arm["name"])] = MemoryDataset()

    @hook_impl
    def after_pipeline_run(self, pipeline: "Pipeline", catalog: "DataCatalog") -> None:
        """Removes the checkpoints of the arms that were trained.

        Not earlier: a run that is stopped in its fifth arm finds the first four finished when it goes on.
        """
        from pipelines.run.launcher import is_follower

        if not is_follower():
            remove_checkpoints(pipeline, catalog)


def remove_checkpoints(pipeline: "Pipeline", catalog: "DataCatalog") -> None:
    """Removes the checkpoints of the arms that a pipeline trains."""
    trained = [name for name in pipeline.all_outputs() if is_encoder(name)]
    if trained:
        work: Any = catalog.load(_WORK)
        for dataset in trained:
            shutil.rmtree(Path(work) / dataset.removeprefix(_ENCODER), ignore_errors=True)
