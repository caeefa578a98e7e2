"""Every pipeline of the project, by name."""

from kedro.pipeline import Pipeline

from pipelines import (
    curation,
    evaluation,
    generation,
    pretraining,
    reporting,
    scorer,
    training,
    tuning,
    validation,
)
from pipelines.run.arms import arms_to_register


def register_pipelines() -> dict[str, Pipeline]:
    """Returns the pipelines; `__default__` is the whole path from captions to the report.

    `tuning` and `pretraining` take hours where the others take minutes, and `pretraining` and `scorer` make
    what is shipped, so they stand on their own. Rooms that have a part for each arm are given the arms of
    the run's configuration.
    """
    arms = arms_to_register()
    path = {
        "curation": curation.create_pipeline(),
        "validation": validation.create_pipeline(),
        "generation": generation.create_pipeline(),
        "training": training.create_pipeline(arms),
        "evaluation": evaluation.create_pipeline(arms),
        "reporting": reporting.create_pipeline(arms),
    }
    apart = {
        "tuning": tuning.create_pipeline(),
        "pretraining": pretraining.create_pipeline(),
        "scorer": scorer.create_pipeline(),
    }
    return {**path, **apart, "__default__": sum(path.values(), Pipeline([]))}
