"""An image set to an encoder: one sub-pipeline per arm and seed.

`kedro run --namespaces training.<arm>` trains one arm alone, with each of its seeds.
"""

from functools import partial, update_wrapper
from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from pipelines.run.items import arm_namespace, encoder_of, image_set_of, key_of_corpus
from pipelines.training.nodes import open_images, train_arm


def create_pipeline(parameters: dict[str, Any]) -> Pipeline:
    """Returns the sub-pipelines of all arms and seeds.

    Args:
        parameters: as composed.
    """
    arms = [
        create_arm_pipeline(name, seed, parameters)
        for seed in parameters["seeds"]
        for name in parameters["arms"]
    ]
    return sum(arms, Pipeline([]))


def create_arm_pipeline(name: str, seed: int, parameters: dict[str, Any]) -> Pipeline:
    """Returns the sub-pipeline of one arm with one seed: its images are opened, then its encoder trained."""
    arm = parameters["arms"][name]
    read = update_wrapper(partial(open_images, name), open_images)
    train = update_wrapper(partial(train_arm, name, seed), train_arm)
    graph = Pipeline(
        [
            node(
                read,
                ["image_set", "params:corpus", "params:encoder", "params:arm", "params:training"],
                "images",
                name="open_images",
            ),
            node(
                train,
                [
                    "images",
                    "training_work",
                    "params:arm",
                    "params:method",
                    "params:encoder",
                    "params:training",
                ],
                "encoder",
                name="train_arm",
            ),
        ]
    )
    own = {
        "params:arm": f"params:arms.{name}",
        "params:method": f"params:method.{arm['method']}",
        "params:corpus": f"params:{key_of_corpus(parameters['image_sets'][arm['images']])}",
    }
    return pipeline(
        graph,
        inputs={
            "image_set": image_set_of(arm["images"]),
            "training_work": "training_work",
        },
        outputs={"encoder": encoder_of(name, seed)},
        parameters={
            **{f"params:{key}": f"params:{key}" for key in ("encoder", "training")},
            **own,
        },
        namespace=arm_namespace(name, seed),
    )
