"""Errors of intermediate files: which file, which node makes it, and how to make it again.

The command asks here once for all datasets: a table that does not fit its model, a file that cannot be read,
and one that is missing.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.run.causes import first_cause
from stablerep.errors import DataError

if TYPE_CHECKING:
    from kedro.pipeline.node import Node

_DEFAULT = "__default__"
_SAVE = "save"  # Kedro's mode of a validation


def fault_of_a_file(error: BaseException) -> DataError | None:
    """Returns the message for what a dataset raised while it was loaded; None where the error is another."""
    from kedro.validation.exceptions import DataValidationError

    from pipelines.datasets.whole import DamagedFileError

    refusal = first_cause(error, DataValidationError)
    if refusal is not None and refusal.mode != _SAVE:
        return _wrong_table(refusal.dataset_name, refusal.message)
    damaged = first_cause(error, DamagedFileError)
    if damaged is not None:
        how = how_to_make(damaged.path)
        return DataError(f"{damaged.fault} {how}" if how else str(damaged))
    return None


def is_wrong_output(error: BaseException) -> bool:
    """Says whether a validator refused what a node returned: a fault of the node, not of a file."""
    from kedro.validation.exceptions import DataValidationError

    refusal = first_cause(error, DataValidationError)
    # a lazy table is computed while it is validated: what that raises, such as a full disk, is no refusal
    return refusal is not None and refusal.mode == _SAVE and isinstance(refusal.__cause__, DataError)


def missing_file(path: str) -> DataError:
    """Returns the message for a file that is not there."""
    how = how_to_make(Path(path)) or "Run what makes it first: `kedro run` runs everything."
    return DataError(f"{path}: missing; must be there before this pipeline runs. {how}")


def how_to_make(path: Path) -> str | None:
    """Returns which node makes a file, and the command to have it made; None where no node does.

    Args:
        path: of the file, of a folder, or of a file within one.
    """
    from kedro.framework.project import pipelines

    wanted = path.absolute()
    for dataset in sorted({name for pipeline in pipelines.values() for name in pipeline.all_outputs()}):
        place = _path_of(dataset)
        if place is not None and wanted.is_relative_to(place.absolute()):
            return _how_to_make(dataset)
    return None


def _wrong_table(dataset: str, message: str) -> DataError:
    path, how = _path_of(dataset), _how_to_make(dataset)
    makers = _makers_of(dataset)
    made = f", which node {makers[0][1].name!r} makes" if makers else ""
    where = f"{path}: " if path else ""
    return DataError(f"{where}dataset {dataset!r}{made}, is refused: {message}\n{how or 'Fix the file.'}")


def _how_to_make(dataset: str) -> str | None:
    makers = _makers_of(dataset)
    if not makers:
        return None
    room, node = makers[0]
    # a namespace, like a room, is run by itself on what lies on the disk
    part = f"--namespaces {node.namespace}" if node.namespace else f"--pipelines {room}"
    return (
        f"Node {node.name!r} makes it. Make it again: `kedro run {part}`, with the --params of this run "
        "if there were any, or restore it with `dvc checkout`."
    )


def _makers_of(dataset: str) -> "list[tuple[str, Node]]":
    """Returns the nodes that make a dataset, each with the first pipeline that it is in."""
    from kedro.framework.project import pipelines

    names = [*sorted(set(pipelines) - {_DEFAULT}), _DEFAULT] if pipelines else []
    return [(name, node) for name in names for node in _nodes(name) if dataset in node.outputs]


def _nodes(name: str) -> "list[Node]":
    from kedro.framework.project import pipelines

    return list(pipelines[name].nodes) if name in pipelines else []


def _path_of(dataset: str) -> Path | None:
    """Returns where a dataset lies; None where it has no path, or no run has a catalog yet."""
    from pipelines.run.current import CURRENT

    catalog = CURRENT.catalog
    if catalog is None or dataset not in catalog:
        return None
    return getattr(catalog.get(dataset), "_filepath", None)
