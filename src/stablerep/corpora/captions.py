"""Captions alone: files of texts, without real images and without labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablerep.corpora.corpus import Corpus
from stablerep.curation.reading.engine import BATCH_SIZE, CaptionFiles
from stablerep.curation.settings import Reading

if TYPE_CHECKING:
    import polars as pl


@dataclass
class Captions(Corpus):
    """Files of captions: CSV, tab-separated values, JSON lines, COCO's JSON, Parquet or text, packed or not.

    Attributes:
        path: a file or a glob.
        name: in messages and the report.
        mirrorable: whether a mirrored image still shows what its caption says.
    """

    path: str
    name: str = "captions"
    mirrorable: bool = True

    def inputs(self) -> list[str]:
        """Returns the path."""
        return [self.path]

    def check(self) -> None:
        """Looks for the files; raises DataError where there is none."""
        CaptionFiles(self.path).paths()

    def check_captions(self, reading: Reading) -> None:
        """Looks at the files' endings; see `stablerep.curation.reading.engine.CaptionFiles.check`."""
        CaptionFiles(self.path).check(reading)

    def caption_batches(self, reading: Reading, batch_size: int = BATCH_SIZE) -> "Iterator[pl.DataFrame]":
        """Reads the files; see `stablerep.curation.reading.engine.CaptionFiles.batches`."""
        return CaptionFiles(self.path).batches(reading, batch_size)

    def count_captions(self, reading: Reading, enough: int) -> int:
        """Counts captions without a fault; stops where `enough` are found."""
        return CaptionFiles(self.path).count(reading, enough)
