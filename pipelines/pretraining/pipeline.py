"""Captioned images to a generator and its model card; not part of the default run."""

from typing import Any

from kedro.pipeline import Pipeline, node

from pipelines.pretraining.nodes import measure_generator, pretrain_generator
from pipelines.run.items import pretrained


def create_pipeline(parameters: dict[str, Any]) -> Pipeline:
    """Returns the graph of the recipe's generator, whose folder has the recipe's name."""
    name = parameters["pretraining"]["name"]
    folder, seconds = pretrained("folder", name), pretrained("seconds", name)
    return Pipeline(
        [
            node(
                pretrain_generator,
                ["params:pretraining", "takedowns", pretrained("work", name), pretrained("place", name)],
                [folder, seconds],
                name="pretrain_generator",
            ),
            node(
                measure_generator,
                [seconds, folder, "takedowns", "params:pretraining", "params:generator"],
                [pretrained(what, name) for what in ("card", "picture", "figures")],
                name="measure_generator",
            ),
        ]
    )
