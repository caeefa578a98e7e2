"""The entries of the catalog, checked before a node runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.config.arguments import object_named
from stablerep.errors import ConfigError

if TYPE_CHECKING:
    from kedro.config import AbstractConfigLoader
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

_WHERE = "conf/base/catalog.yml"
_PARAMETERS = ("parameters", "params:")


def entries_of_catalog(loader: "AbstractConfigLoader") -> dict[str, Any]:
    """Returns the catalog's entries by dataset, with the patterns among them.

    Raises:
        ConfigError: a file is at fault, an entry is no mapping or has no type, a pattern has other keys than
            its entry, or credentials are not there.
    """
    from kedro.config import MissingConfigException
    from kedro.io import DataCatalog, DatasetError

    try:
        entries = loader["catalog"]
    except MissingConfigException as error:
        raise ConfigError(
            f"{loader.conf_source}: has no catalog in base/ or the environment; must have base/catalog.yml. "
            "Restore it: `git checkout conf/base/catalog.yml`."
        ) from error
    try:
        credentials = loader["credentials"]
    except MissingConfigException:
        credentials = {}
    try:
        DataCatalog.from_config(entries, credentials)  # makes no dataset yet
    except (DatasetError, KeyError) as error:
        raise ConfigError(f"{loader.conf_source}: catalog: {_told(error)}") from error
    return entries


def check_datasets(pipeline: "Pipeline", catalog: "DataCatalog", entries: Mapping[str, Any]) -> None:
    """Makes the datasets of a run, as the runner would.

    Args:
        pipeline: the nodes that are to run.
        catalog: where their inputs are.
        entries: of the catalog, by dataset or pattern.

    Raises:
        ConfigError: a dataset has no entry, and what a node saves to it would be lost with the process; its
            class does not take what the entry says; or there is no such validator.
    """
    from kedro.io import DatasetError

    names = sorted(name for name in pipeline.datasets() if not name.startswith(_PARAMETERS))
    # datasets between the nodes of one item are in memory, and have its namespace
    missing = [name for name in names if "." not in name and name not in catalog]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ConfigError(
            f"{_WHERE}: has no entry for {missing[0]!r}{more}; must have one for each dataset: a dataset "
            f"without an entry is lost when the run ends. Restore it: `git checkout {_WHERE}`."
        )
    for name in names:
        validator = entries.get(name, {}).get("validator")
        if isinstance(validator, str):  # Kedro warns where there is none, and checks nothing
            object_named(
                f"catalog entry {name!r}: validator", validator, _WHERE, "a pandera model or a function"
            )
        try:
            if name in catalog:
                catalog.get(name)
        except DatasetError as error:
            raise ConfigError(f"catalog entry {name!r}: {_told(error)}") from error


def _told(error: Exception) -> str:
    """Returns what Kedro says about an entry, without its hints on packages to install."""
    text = " ".join(str(error.args[0]).partition("\nHint")[0].split()).rstrip(".")
    return f"{text}. Correct the entry in {_WHERE}, or where the environment has it."
