"""Images to one encoder an arm: an instance of one sub-pipeline for each arm of the experiment.

`kedro run --namespaces training.<arm>` trains one arm alone.
"""

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline, node, pipeline

from pipelines.run.arms import Arm, encoder_of, namespace_of
from pipelines.training.nodes import draw_images, draw_real_images, read_synthetic_images, train_arm

_KEYS = ("arms", "batch", "methods", "model", "optimisation", "generation", "seed")
_SETTINGS = {f"params:{key}" for key in _KEYS}


def create_pipeline(arms: list[Arm]) -> Pipeline:
    """Returns the graph of the room.

    Args:
        arms: name, method and images of each.
    """
    return sum((create_arm_pipeline(arm["name"], arm["images"]) for arm in arms), Pipeline([]))


def create_arm_pipeline(name: str, images: str) -> Pipeline:
    """Returns the sub-pipeline of an arm: its images, then its encoder."""
    train = update_wrapper(partial(train_arm, name), train_arm)
    graph = Pipeline(
        [
            _images_node(images),
            node(
                train,
                ["images", "accepted_images", "generator_folder", "training_work", *sorted(_SETTINGS)],
                "encoder",
                name="train_arm",
            ),
        ]
    )
    shared = {each for each in graph.inputs() if not each.startswith("params:")}
    parameters = {each for each in graph.inputs() if each.startswith("params:")}
    return pipeline(
        graph,
        inputs=shared,
        outputs={"encoder": encoder_of(name)},
        parameters=parameters,
        namespace=namespace_of(name),
    )


def _images_node(images: str) -> Node:
    if images == "synthetic":
        inputs = ["accepted_images", "image_store", "caption_set", "params:optimisation"]
        return node(read_synthetic_images, inputs, "images", name="read_images")
    if images == "real":
        return node(draw_real_images, ["caption_set", "params:seed"], "images", name="draw_images")
    inputs = ["caption_set", "params:generation", "params:seed"]
    return node(draw_images, inputs, "images", name="draw_images")
