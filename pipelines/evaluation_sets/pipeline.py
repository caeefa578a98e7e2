"""One sub-pipeline per evaluation set: its images and labels in, their table out."""

from functools import partial, update_wrapper
from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from pipelines.config.possible_arms import trains_on_corpus_images
from pipelines.evaluation_sets.nodes import index_evaluation_set, take_corpus_images
from pipelines.run.items import evaluation_set_namespace, evaluation_set_of


def create_pipeline(parameters: dict[str, Any]) -> Pipeline:
    """Returns the sub-pipelines of all evaluation sets.

    Args:
        parameters: as composed.
    """
    sets = [create_set_pipeline(name, parameters) for name in parameters["evaluation_sets"]]
    return sum(sets, Pipeline([]))


def create_set_pipeline(name: str, parameters: dict[str, Any]) -> Pipeline:
    """Returns the sub-pipeline of one evaluation set.

    Where an arm is trained on the corpus's images, the set is compared with them, so it needs their table.
    """
    namespace, output = evaluation_set_namespace(name), {"table": evaluation_set_of(name)}
    if parameters["evaluation_sets"][name] == parameters["corpus"]:
        graph = Pipeline([node(take_corpus_images, ["corpus_images"], "table", name="take_corpus_images")])
        return pipeline(graph, inputs={"corpus_images"}, outputs=output, namespace=namespace)
    index = update_wrapper(partial(index_evaluation_set, name), index_evaluation_set)
    compared = ["corpus_images"] if trains_on_corpus_images(parameters) else []
    inputs = ["params:evaluation_set", "previous", *compared]
    graph = Pipeline([node(index, inputs, "table", name="index_evaluation_set")])
    return pipeline(
        graph,
        inputs={"previous": f"previous_evaluation_set_of_{name}", **{each: each for each in compared}},
        outputs=output,
        parameters={"params:evaluation_set": f"params:evaluation_sets.{name}"},
        namespace=namespace,
    )
