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
    compute = _compute_inputs(arm, seed, parameters)
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
                {
                    "images": "images",
                    "training_work": "training_work",
                    **{each: f"params:{each}" for each in ("arm", "method", "encoder", "training")},
                    **({"own_set": "image_set"} | {each: each for each in compute} if compute else {}),
                },
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
            **compute,
        },
        outputs={"encoder": encoder_of(name, seed)},
        parameters={
            **{f"params:{key}": f"params:{key}" for key in ("encoder", "training")},
            **own,
        },
        namespace=arm_namespace(name, seed),
    )


def _compute_inputs(arm: dict[str, Any], seed: int, parameters: dict[str, Any]) -> dict[str, str]:
    """Returns the inputs that decide the number of views of an arm with `as_much_compute_as`."""
    other = arm.get("as_much_compute_as")
    if not other:
        return {}
    images = parameters["arms"][other]["images"]
    return {"other": encoder_of(other, seed), "other_set": image_set_of(images)}
