"""Every pipeline of the project, by name."""

from kedro.pipeline import Pipeline

from pipelines import (
    corpus,
    curation,
    evaluation,
    evaluation_sets,
    image_set_metrics,
    image_sets,
    pretraining,
    reporting,
    scorer,
    training,
    tuning,
    validation,
)
from pipelines.run.current import CURRENT
from pipelines.run.items import needs_captions, needs_corpus_images


def register_pipelines() -> dict[str, Pipeline]:
    """Returns the pipelines; `__default__` is the whole path to the report.

    What the path begins with follows from the image sets: captions are curated and checked where a set is
    made of captions, and the corpus's images are listed where they are used. `tuning` and `pretraining` take
    hours where the others take minutes, and `pretraining` and `scorer` make what is shipped, so these are
    not part of the path. Each image set, arm and evaluation set stands under the name of its namespace too,
    so that `kedro registry list` and Kedro-Viz name them.
    """
    parameters = CURRENT.parameters_to_register()
    path = {
        "image_sets": image_sets.create_pipeline(parameters),
        "training": training.create_pipeline(parameters),
        "evaluation_sets": evaluation_sets.create_pipeline(parameters),
        "evaluation": evaluation.create_pipeline(parameters),
        "image_set_metrics": image_set_metrics.create_pipeline(parameters),
        "reporting": reporting.create_pipeline(parameters),
    }
    captions = {"curation": curation.create_pipeline(), "validation": validation.create_pipeline()}
    images = {"corpus": corpus.create_pipeline()}
    if needs_captions(parameters):
        path = captions | path
    if needs_corpus_images(parameters):
        path = images | path
    apart = {
        "tuning": tuning.create_pipeline(parameters),
        "pretraining": pretraining.create_pipeline(parameters),
        "scorer": scorer.create_pipeline(),
    }
    default = sum(path.values(), Pipeline([]))
    items = {name: part for room in path.values() for name, part in _items(room).items()}
    return {**captions, **images, **path, **items, **apart, "__default__": default}


def _items(room: Pipeline) -> dict[str, Pipeline]:
    """Returns the parts of a room that have a namespace, such as `training.simclr.seed_0`, by its name."""
    namespaces = sorted({node.namespace for node in room.nodes if node.namespace})
    return {name: room.only_nodes_with_namespaces([name]) for name in namespaces}
