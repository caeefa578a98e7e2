"""Outputs of an earlier run, for a node that continues or shows them; never written under this name."""

import logging
from typing import Any

from pipelines.datasets.whole import WholeFileDataset
from stablerep.errors import DataError
from stablerep.storage.outages import refuse_outage

logger = logging.getLogger(__name__)


class Previous(WholeFileDataset):
    """A mixin for datasets: a missing file gives None instead of an error."""

    def load(self) -> Any:
        """Returns the data; None where there is none, or it cannot be read."""
        if not self._filepath.exists():
            return None
        # not super().load(): Kedro wraps what that raises in an error of its own
        try:
            return self._read(self._filepath)
        except (OSError, DataError) as error:
            refuse_outage(self._filepath, error)
            logger.warning(
                "%s: cannot be read as %s (%s); this run goes on without it.",
                self._filepath,
                self.form,
                error,
            )
            return None

    def _exists(self) -> bool:
        return True

    def save(self, data: Any) -> None:
        """Raises DataError."""
        self._refuse()
