"""Files that people write: captions, takedowns, edits, captions of evaluation sets. No node writes them."""

from glob import glob
from typing import TYPE_CHECKING, Any

from pipelines.datasets.path import PathDataset

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.curation.people.edits import Edits
    from stablerep.curation.reading.engine import CaptionFiles


class CaptionFilesDataset(PathDataset):
    """A captions file or a glob of them, too large for memory; never written."""

    def load(self) -> "CaptionFiles":
        """Returns the files, not read yet."""
        from stablerep.curation.reading.engine import CaptionFiles

        return CaptionFiles(str(self._filepath))

    def _exists(self) -> bool:
        return bool(glob(str(self._filepath), recursive=True))

    def save(self, data: Any) -> None:
        """Raises DataError."""
        self._refuse()


class TakedownsCSVDataset(PathDataset):
    """What was taken down; read by `stablerep.curation.people.takedowns`, written by `stablerep takedown`."""

    def load(self) -> "pd.DataFrame":
        """Returns what, kind, reason, date, who."""
        from stablerep.curation.people.takedowns import read_takedowns

        return read_takedowns(self._filepath)

    def save(self, data: Any) -> None:
        """Raises DataError."""
        self._refuse()


class EvaluationCaptionsCSVDataset(PathDataset):
    """Captions of evaluation sets; read by `stablerep.curation.people.evaluation_captions`."""

    def load(self) -> "pd.DataFrame":
        """Returns the column caption."""
        from stablerep.curation.people.evaluation_captions import read_evaluation_captions

        return read_evaluation_captions(self._filepath)

    def save(self, data: Any) -> None:
        """Raises DataError."""
        self._refuse()


class CaptionEditsCSVDataset(PathDataset):
    """What people edit of captions without touching their files; read by `curation.people.edits`."""

    def load(self) -> "Edits":
        """Returns the edits, checked line by line."""
        from stablerep.curation.people.edits import Edits, read_edits

        return Edits(read_edits(self._filepath), self._filepath)

    def save(self, data: Any) -> None:
        """Raises DataError."""
        self._refuse()
