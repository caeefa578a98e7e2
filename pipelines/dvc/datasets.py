"""What DVC needs to know of the catalog: where a dataset lies, and its `metadata.dvc`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kedro.io import CatalogConfigResolver

from pipelines.dvc.sources import without_wildcards

# Kedro's own default; given, so that it logs no warning
_RUNTIME_PATTERNS = {"{default}": {"type": "kedro.io.MemoryDataset"}}


@dataclass(eq=False)
class Datasets:
    """The datasets of a catalog.

    Attributes:
        entries: the catalog as YAML gives it, dataset patterns included.
    """

    entries: dict[str, Any]

    def __contains__(self, dataset: str) -> bool:
        return dataset in self.entries or self._resolver.match_dataset_pattern(dataset) is not None

    def is_on_disk(self, dataset: str) -> bool:
        """Says whether a dataset has an entry with a path, so that another process can read it."""
        return dataset in self and self._raw_path(dataset) is not None

    def is_tracked(self, dataset: str) -> bool:
        """Says whether DVC tracks a dataset: it is on disk and not `untracked`."""
        return self.is_on_disk(dataset) and self._metadata(dataset) != "untracked"

    def path(self, dataset: str) -> str:
        """Returns the path of a dataset on disk; of a glob, the folder above the first wildcard."""
        return without_wildcards(str(self._raw_path(dataset)))

    def options(self, dataset: str) -> dict[str, Any]:
        """Returns `metadata.dvc` of a dataset: DVC's options, and ours.

        Ours are `stage`, where a room fills an input, and `kind`.
        """
        options = self._metadata(dataset)
        return dict(options) if isinstance(options, Mapping) else {}

    def kind(self, dataset: str) -> str:
        """Returns the list of a stage that has a dataset: `outs`, or `metrics` for `dvc metrics`."""
        return str(self.options(dataset).get("kind", "outs"))

    def filled_by(self, room: str) -> list[str]:
        """Returns the datasets whose `metadata.dvc.stage` is this room."""
        return [dataset for dataset in self.entries if self.options(dataset).get("stage") == room]

    @cached_property
    def _resolver(self) -> CatalogConfigResolver:
        return CatalogConfigResolver(config=self.entries, default_runtime_patterns=_RUNTIME_PATTERNS)

    def _entry(self, dataset: str) -> dict[str, Any]:
        return self.entries.get(dataset) or self._resolver.resolve_pattern(dataset)

    def _raw_path(self, dataset: str) -> str | None:
        entry = self._entry(dataset)
        return entry.get("filepath") or entry.get("path")

    def _metadata(self, dataset: str) -> Any:
        return (self._entry(dataset).get("metadata") or {}).get("dvc")
