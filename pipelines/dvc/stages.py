"""The stages of dvc.yaml, computed from the Kedro pipelines, the catalog and the composed parameters.

A room whose nodes have namespaces becomes one stage per item (`training.simclr.seed_0` is the stage
`training-simclr-seed_0`), so that adding an item runs that item alone. Any other room is one stage. DVC's own
`foreach` cannot do this: it fills in texts and numbers, not lists, and items differ in their dependencies.
"""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from kedro.pipeline import Node, Pipeline

from pipelines.dvc.datasets import Datasets
from pipelines.dvc.plots import plots_of
from pipelines.dvc.sources import Sources, without_nested
from stablerep.errors import ConfigError

PARAMS_FILE = "params.yaml"
# The --params with which DVC's stages run, one line. `python -m pipelines.dvc.compose` writes it.
CHOSEN_FILE = "conf/dvc_params.txt"
# Made once and shipped. A change of its code must not start an hour of training, a change of its numbers
# must: the room, and the key that has these numbers.
SHIPPED = {"pretraining": "pretraining", "scorer": "scorer"}
# Keys that nodes take and DVC does not track: an image does not depend on how many processes or machines
# made it, and a stage must not run again because it moved to another cluster.
UNTRACKED_KEYS = {"executor"}
# So that `dvc repro` finds the project's programs without an activated environment.
_PATH = 'PATH="$PWD/.venv/bin:$PATH"'
_DEFAULT = "__default__"
_OURS = {"stage", "kind"}  # keys of `metadata.dvc` that are not options of DVC's outputs
_PARAMETERS = "parameters"
_PREFIX = "params:"
# The characters that DVC allows in the name of a stage.
_STAGE_NAME = re.compile(r"[\w-]+")

Stage = dict[str, Any]


def dvc_yaml(
    pipelines: Mapping[str, Pipeline], datasets: Datasets, parameters: Mapping[str, Any], sources: Sources
) -> dict[str, Any]:
    """Returns the content of dvc.yaml.

    Args:
        pipelines: the registered pipelines by name; `__default__` says which of them are stages.
        datasets: the project's catalog.
        parameters: the composed parameters.
        sources: finds the source files of the project.

    Raises:
        ConfigError: see `stages_of_room`; also two stages of one name.
    """
    stages = {"params": _params_stage(sources)}
    shipped = {name: key for name, key in SHIPPED.items() if name in pipelines}
    for name, key in shipped.items():
        stages[name] = _shipped_stage(name, key, pipelines[name], datasets)
    path = {node.name for node in pipelines[_DEFAULT].nodes}
    rooms = {name: pipeline for name, pipeline in pipelines.items() if "." not in name}  # the others: items
    for name, pipeline in rooms.items():
        if name not in {_DEFAULT, *shipped} and path >= {node.name for node in pipeline.nodes}:
            for stage, content in stages_of_room(name, pipeline, datasets, parameters, sources).items():
                if stage in stages:
                    raise ConfigError(f"dvc.yaml: two stages are named {stage!r}. Rename one of the items.")
                stages[stage] = content
    plots = plots_of(datasets, parameters) if "reporting" in stages else []
    return {"stages": stages} | ({"plots": plots} if plots else {})


def stages_of_room(
    room: str, pipeline: Pipeline, datasets: Datasets, parameters: Mapping[str, Any], sources: Sources
) -> dict[str, Stage]:
    """Returns the stages of a room by name; an item stands after the items that it depends on.

    Args:
        room: the name under which the pipeline is registered.
        pipeline: its nodes have either all a namespace or none.
        datasets: the project's catalog.
        parameters: the composed parameters.
        sources: finds the source files of the project.

    Raises:
        ConfigError: nodes with and without a namespace, a name that DVC does not allow, a parameter that is
            not in the configuration, or a dataset that another stage makes and the catalog does not keep.
    """
    stages = {}
    for namespace, nodes in _items(room, pipeline).items():
        choice = f"--namespaces {namespace}" if namespace else f"--pipelines {room}"
        name = (namespace or room).replace(".", "-")
        if not _STAGE_NAME.fullmatch(name):
            raise ConfigError(
                f"dvc.yaml: {name!r} cannot be the name of a stage; it must have letters, numbers, hyphens "
                "and underscores only. Rename the item in conf/params/."
            )
        item = Pipeline(nodes)
        filled = [] if namespace else [each for each in datasets.filled_by(room) if datasets.is_tracked(each)]
        stages[name] = _stage(choice, item, filled, datasets, parameters, sources)
    return stages


def _items(room: str, pipeline: Pipeline) -> dict[str, list[Node]]:
    """Returns a room's nodes by the namespace of their item, or under "" where they have none."""
    namespaces = {node.namespace or "" for node in pipeline.nodes}
    if "" in namespaces and len(namespaces) > 1:
        bare = sorted(node.name for node in pipeline.nodes if not node.namespace)
        raise ConfigError(
            f"pipeline {room!r}: {', '.join(bare)} has no namespace, but other nodes of the room have one; "
            "either all of a room's nodes must have one or none. Give it a namespace or a room of its own."
        )
    # a namespace inside an item's own belongs to the item
    tops = {each for each in namespaces if not any(each.startswith(f"{other}.") for other in namespaces)}
    items: dict[str, list[Node]] = {}
    for node in pipeline.nodes:
        own = node.namespace or ""
        top = next(each for each in tops if own == each or own.startswith(f"{each}."))
        items.setdefault(top, []).append(node)
    return _in_order(items)


def _in_order(items: dict[str, list[Node]]) -> dict[str, list[Node]]:
    """Returns the items by name, each after those whose outputs it reads."""
    maker = {output: name for name, nodes in items.items() for node in nodes for output in node.outputs}
    needs = {
        name: {maker[each] for node in nodes for each in node.inputs if each in maker} - {name}
        for name, nodes in items.items()
    }
    ordered: dict[str, list[Node]] = {}
    while len(ordered) < len(items):
        ready = sorted(name for name in items if name not in ordered and needs[name] <= ordered.keys())
        if not ready:
            names = ", ".join(sorted(set(items) - set(ordered)))
            raise ConfigError(f"{names}: each needs another one first; items must not depend on each other.")
        ordered |= {name: items[name] for name in ready}
    return ordered


def _stage(
    choice: str,
    item: Pipeline,
    filled: list[str],
    datasets: Datasets,
    parameters: Mapping[str, Any],
    sources: Sources,
) -> Stage:
    data = {each for each in item.inputs() if each != _PARAMETERS and not each.startswith(_PREFIX)}
    lost = sorted(each for each in data if not datasets.is_on_disk(each))
    if lost:
        raise ConfigError(
            f"dataset {lost[0]!r}: {item.nodes[0].name!r} or a node after it reads it in a stage of "
            "its own, so it must be kept on disk. Give it a path in conf/base/catalog.yml."
        )
    outs = [*filled, *sorted(each for each in item.all_outputs() if datasets.is_tracked(each))]
    inputs = {datasets.path(each) for each in data if each not in filled and datasets.is_tracked(each)}
    taken = {key: _value(key, parameters) for key in _keys(item)}
    used = parameters if _PARAMETERS in item.inputs() else taken
    modules = {_module(node) for node in item.nodes}
    paths = inputs | set(sources.of_stage(modules, used))
    stage: Stage = {"cmd": _command(choice), "deps": sorted(without_nested(paths))}
    # DVC reads an empty list of `params` as every key of the file
    if _PARAMETERS in item.inputs():
        stage["deps"] = sorted([*stage["deps"], PARAMS_FILE])
    elif taken:
        stage["params"] = sorted(without_inner_keys(taken))
    for kind in ("outs", "metrics"):
        if of_kind := [_out(each, datasets) for each in outs if datasets.kind(each) == kind]:
            stage[kind] = of_kind
    return stage


def _params_stage(sources: Sources) -> Stage:
    used = sources.of_stage(["pipelines.config.loader", "pipelines.config.params_option"])
    return {
        "cmd": f"{_PATH} python -m pipelines.dvc.compose --params-stage",
        "deps": sorted(["conf/params", CHOSEN_FILE, *used]),
        # persist: where the stage fails, the file of the last time stays
        "outs": [{PARAMS_FILE: {"cache": False, "persist": True}}],
    }


def _shipped_stage(room: str, key: str, pipeline: Pipeline, datasets: Datasets) -> Stage:
    outputs = sorted(each for each in pipeline.all_outputs() if datasets.is_tracked(each))
    outs = [_out(each, datasets) for each in [*datasets.filled_by(room), *outputs]]
    return {"cmd": _command(f"--pipelines {room}"), "params": [key], "outs": outs}


def _command(choice: str) -> str:
    return f'{_PATH} kedro run {choice} --params "$(cat {CHOSEN_FILE})"'


def _out(dataset: str, datasets: Datasets) -> str | dict[str, Any]:
    options = {key: value for key, value in datasets.options(dataset).items() if key not in _OURS}
    return {datasets.path(dataset): options} if options else datasets.path(dataset)


def _module(node: Node) -> str:
    """Returns the module of a node's function; a partial counts as the function in it."""
    function = node.func
    while isinstance(function, partial):
        function = function.func
    return str(function.__module__)


def _keys(item: Pipeline) -> list[str]:
    """Returns the full dotted keys that the nodes take and DVC tracks."""
    keys = (each.removeprefix(_PREFIX) for each in item.inputs() if each.startswith(_PREFIX))
    return sorted(key for key in keys if key.split(".")[0] not in UNTRACKED_KEYS)


def _value(key: str, parameters: Mapping[str, Any]) -> Any:
    value: Any = parameters
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise ConfigError(f"{_PREFIX}{key}: a node takes it, but the configuration does not have it.")
        value = value[part]
    return value


def without_inner_keys(keys: Iterable[str]) -> set[str]:
    """Drops each key that lies inside another one: `arms.simclr` beside `arms`."""
    kept = set(keys)
    return {key for key in kept if not any(key.startswith(f"{other}.") for other in kept)}
