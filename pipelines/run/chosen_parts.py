"""Which part of the graph `kedro run` runs; an unknown name is refused, with the nearest known one."""

from collections.abc import Iterable, Mapping
from typing import Any

from kedro.pipeline import Pipeline

from stablerep.errors import ConfigError
from stablerep.nearest_name import must_be_one_of

_ALL = "__default__"
_LISTED = " `kedro registry list` lists the rooms and the items of the default run."


def check_chosen_parts(
    options: Mapping[str, Any], pipelines: Mapping[str, Pipeline], catalog: Mapping[str, Any]
) -> None:
    """Checks what options of `kedro run` name, before Kedro looks for it.

    Kedro refuses a name of most of them without the nearest one, and passes over the others in silence.

    Args:
        options: of the command, as Kedro names them.
        pipelines: those of the run, by name.
        catalog: the entries of the catalog.

    Raises:
        ConfigError: a name is not in the graph, or a dataset has no versions.
    """
    chosen = options.get("pipelines") or [options.get("pipeline") or _ALL]
    for name in chosen:
        _check_known("--pipelines", name, pipelines, "")
    graph: Pipeline = sum((pipelines[name] for name in chosen), Pipeline([]))
    nodes, tags = [node.name for node in graph.nodes], {tag for node in graph.nodes for tag in node.tags}
    for option, names in (
        ("--nodes", options.get("node_names")),
        ("--from-nodes", options.get("from_nodes")),
        ("--to-nodes", options.get("to_nodes")),
    ):
        for name in names or ():
            _check_known(option, name, nodes, " `kedro registry describe <pipeline>` lists the nodes.")
    for option, names in (
        ("--from-inputs", options.get("from_inputs")),
        ("--to-outputs", options.get("to_outputs")),
    ):
        for name in names or ():
            _check_known(option, name, graph.datasets(), " conf/base/catalog.yml lists the datasets.")
    for name in options.get("namespaces") or ():
        _check_known("--namespaces", name, _namespaces(graph), _LISTED)
    for name in options.get("tags") or ():
        if not tags:
            raise ConfigError(
                f"--tags: got {name!r}, and no node has a tag; must be left out. Choose by --pipelines, "
                f"--namespaces or --nodes.{_LISTED}"
            )
        _check_known("--tags", name, tags, "")
    for name in options.get("load_versions") or ():
        _check_version(name, catalog)


def _check_known(option: str, name: str, known: Iterable[str], where: str) -> None:
    names = set(known)
    if name not in names:
        raise ConfigError(f"{option}: got {name!r}; {must_be_one_of(name, names)}{where}")


def _namespaces(graph: Pipeline) -> set[str]:
    """Returns the namespaces of nodes and those above, such as `training.clip` of `training.clip.seed_0`."""
    parts = [node.namespace.split(".") for node in graph.nodes if node.namespace]
    return {".".join(each[:length]) for each in parts for length in range(1, len(each) + 1)}


def _check_version(name: str, catalog: Mapping[str, Any]) -> None:
    versioned = [
        each for each, entry in catalog.items() if isinstance(entry, Mapping) and entry.get("versioned")
    ]
    if name in versioned:
        return
    must = must_be_one_of(name, versioned) if versioned else "no dataset of the catalog is `versioned`."
    raise ConfigError(
        f"--load-versions: got {name!r}; {must} DVC keeps the versions of this project's data: "
        "`git checkout <commit>`, then `dvc checkout`."
    )
