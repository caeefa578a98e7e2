"""What a corpus does not override it refuses, in a clear sentence."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from stablerep.corpora.captions import Captions
from stablerep.corpora.corpus import Corpus
from stablerep.curation.reading.engine import SCHEMA
from stablerep.curation.settings import Reading
from stablerep.errors import ConfigError, DataError


class Empty(Corpus):
    name = "empty"


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (lambda corpus: corpus.caption_batches(Reading()), "has no captions"),
        (lambda corpus: corpus.count_captions(Reading(), 1), "has no captions"),
        (lambda corpus: corpus.pixels(pd.DataFrame()), "has no real images"),
        (lambda corpus: corpus.facts(pd.DataFrame()), "has no real images"),
        (lambda corpus: corpus.render(["a"], 1, "set", 0), "cannot render captions"),
    ],
)
def test_what_is_not_there_is_refused(call: Callable[[Corpus], object], fault: str) -> None:
    with pytest.raises(ConfigError, match=f"corpus 'empty' {fault}"):
        call(Empty())


def test_nothing_else_is_needed() -> None:
    corpus = Empty()
    corpus.check()
    assert corpus.inputs() == [] and corpus.tasks() == {} and corpus.index() is None
    assert corpus.labels_of(["a cat"]) == {} and corpus.mirrorable and not corpus.can_render


def test_captions_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("caption\na nine\na ten\n")
    corpus = Captions(str(tmp_path / "*.csv"))
    corpus.check()
    frame = pl.concat(corpus.caption_batches(Reading(), batch_size=1))
    assert frame.schema == SCHEMA and frame["caption"].to_list() == ["a nine", "a ten"]
    assert corpus.count_captions(Reading(), 1) == 1 and corpus.count_captions(Reading(), 9) == 2
    assert corpus.index() is None
    with pytest.raises(DataError, match="no such file"):
        Captions(str(tmp_path / "b.csv")).check()
