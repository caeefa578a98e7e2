"""Text files, JSON files and the seconds of nodes."""

import json
import logging
import math
from pathlib import Path
from typing import Any, NewType

from pipelines.datasets.previous import Previous
from pipelines.datasets.whole import WholeFileDataset
from stablerep.errors import DataError
from stablerep.storage.json_files import read_json
from stablerep.storage.outages import refuse_outage

logger = logging.getLogger(__name__)

# kedro-viz tells a preview's kind from the name of this type
JSONPreview = NewType("JSONPreview", str)


class TextDataset(WholeFileDataset):
    """Text in UTF-8, such as a page or a model card."""

    form = "text in UTF-8"

    def _write(self, beside: Path, data: str) -> None:
        beside.write_text(data, encoding="utf-8")

    def _read(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise DataError(str(error)) from error


class JSONDataset(WholeFileDataset):
    """Whatever JSON can hold."""

    form = "JSON"

    def _write(self, beside: Path, data: Any) -> None:
        beside.write_text(json.dumps(data, indent=2), encoding="utf-8")

    def _read(self, path: Path) -> Any:
        return read_json(path)

    def preview(self) -> JSONPreview:
        """Returns the data as a string for kedro-viz."""
        return JSONPreview(json.dumps(self._read(self._filepath)))


class PreviousJSONDataset(Previous, JSONDataset):
    """JSON that an earlier run left."""


class SecondsDataset(JSONDataset):
    """Seconds by node; the tracking hook adds to it after each node."""

    def _read(self, path: Path) -> dict[str, float]:
        """Returns node name -> seconds; nothing where no run has written yet."""
        if not path.exists():
            return {}
        seconds = super()._read(path)
        if not isinstance(seconds, dict):
            raise DataError("must be a mapping of nodes to seconds")
        for node, value in seconds.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise DataError(f"got {value!r} seconds for node {node!r}; must be a number >= 0")
        return seconds

    def _write(self, beside: Path, data: dict[str, float]) -> None:
        """Adds to the stored figures; newer ones replace older ones. A damaged file is replaced."""
        super()._write(beside, {**self._before(), **data})

    def _before(self) -> dict[str, float]:
        # not self.load(): Kedro wraps what that raises in an error of its own
        try:
            return self._read(self._filepath)
        except (OSError, DataError) as error:
            refuse_outage(self._filepath, error)
            # the run must not end for them: its first node has done its work by now
            logger.warning("%s: cannot be read (%s); it is written again", self._filepath, error)
            return {}

    def _advice(self) -> str:
        return "Remove it: the next run writes a new one."
