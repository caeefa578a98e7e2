"""One sub-pipeline per image set: what it is made from in, the finished set out.

`kedro run --namespaces image_sets.<set>` makes one set alone.
"""

from functools import partial, update_wrapper
from typing import Any

from kedro.pipeline import Node, Pipeline, node, pipeline

from pipelines.image_sets import generated, nodes
from pipelines.run.items import evaluation_set_of, image_set_namespace, image_set_of, key_of_corpus

_DRAWING = [
    "caption_set",
    "takedowns",
    "generator_folder",
    "place",
    "params:image_set",
    "params:generator",
    "params:executor",
    "params:seeds",
    "params:alignment",
    "scorer_folder",
]
_GATE = {
    "evaluation_captions": "evaluation_captions",
    "validation": "params:validation",
    "data_docs": "data_docs",
}


def create_pipeline(parameters: dict[str, Any]) -> Pipeline:
    """Returns the sub-pipelines of all image sets.

    Args:
        parameters: as composed.
    """
    sets = [create_set_pipeline(name, parameters) for name in parameters["image_sets"]]
    return sum(sets, Pipeline([]))


def create_set_pipeline(name: str, parameters: dict[str, Any]) -> Pipeline:
    """Returns the sub-pipeline of one image set."""
    settings = parameters["image_sets"][name]
    graph = Pipeline(_NODES[settings["source"]](name, settings))
    own = {
        "params:image_set": f"params:image_sets.{name}",
        "params:corpus": f"params:{key_of_corpus(settings)}",
    }
    renamed = {"place": f"place_of_image_set_{name}"}
    if settings.get("evaluation_set"):
        renamed["corpus_images"] = evaluation_set_of(settings["evaluation_set"])
    if settings.get("as_many_as"):
        renamed["as_many_as"] = image_set_of(settings["as_many_as"])
    inputs = {each: renamed.get(each, each) for each in graph.inputs() if not each.startswith("params:")}
    keys = {each: own.get(each, each) for each in graph.inputs() if each.startswith("params:")}
    return pipeline(
        graph,
        inputs=inputs,
        outputs={"image_set": image_set_of(name)},
        parameters=keys,
        namespace=image_set_namespace(name),
    )


def _named(function: Any, name: str) -> Any:
    """Returns a node's function that knows the set's name."""
    return update_wrapper(partial(function, name), function)


def _amount_inputs(settings: dict[str, Any]) -> dict[str, str]:
    return {"as_many_as": "as_many_as"} if settings.get("as_many_as") else {}


def _generated(name: str, settings: dict[str, Any]) -> list[Node]:
    drawing = {each.removeprefix("params:"): each for each in _DRAWING} | _amount_inputs(settings)
    return [
        node(
            _named(generated.generate_images, name),
            drawing,
            ["drawn_images", "generation_ledger"],
            name="generate_images",
        ),
        node(
            generated.score_images,
            ["drawn_images", "caption_set", "place", "params:alignment", "scorer_folder"],
            "drawn_scores",
            name="score_images",
        ),
        node(
            _named(generated.apply_policy, name),
            drawing | {"drawn_images": "drawn_images", "drawn_scores": "drawn_scores"},
            ["image_manifest", "alignment_ledger"],
            name="apply_policy",
        ),
        node(
            _named(generated.inspect_images, name),
            {
                "image_manifest": "image_manifest",
                "generation_ledger": "generation_ledger",
                "alignment_ledger": "alignment_ledger",
                "caption_set": "caption_set",
                "takedowns": "takedowns",
                "place": "place",
                "corpus": "params:corpus",
                "image_set": "params:image_set",
                "generator": "params:generator",
                "alignment": "params:alignment",
                **_GATE,
                **_amount_inputs(settings),
            },
            "image_set",
            name="inspect_images",
        ),
    ]


def _corpus(name: str, settings: dict[str, Any]) -> list[Node]:
    inputs = _inputs_of_one_node("corpus_images", settings)
    return [node(_named(nodes.take_corpus_images, name), inputs, "image_set", name="take_corpus_images")]


def _rendered(name: str, settings: dict[str, Any]) -> list[Node]:
    inputs = _inputs_of_one_node("caption_set", settings)
    return [node(_named(nodes.render_images, name), inputs, "image_set", name="render_images")]


def _inputs_of_one_node(table: str, settings: dict[str, Any]) -> dict[str, str]:
    """Returns the inputs of a node that makes a whole set of a table and the corpus."""
    return {
        table: table,
        "takedowns": "takedowns",
        "place": "place",
        "corpus": "params:corpus",
        "image_set": "params:image_set",
        "seeds": "params:seeds",
        **_GATE,
        **_amount_inputs(settings),
    }


def _mixture(name: str, settings: dict[str, Any]) -> list[Node]:
    inputs = {
        "place": "place",
        "image_set": "params:image_set",
        "seeds": "params:seeds",
        **{f"part_{part}": image_set_of(part) for part in settings["of"]},
        **_amount_inputs(settings),
    }
    return [node(_named(nodes.mix_image_sets, name), inputs, "image_set", name="mix_image_sets")]


_NODES = {"generated": _generated, "corpus": _corpus, "rendered": _rendered, "mixture": _mixture}
